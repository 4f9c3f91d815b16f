//! Files that cannot be opened: a clear error, and the file as it was.

use std::path::Path;
use std::process::Command;

use blazedb_relay_client::{Client, Error, Options, StoreError, StoreErrorKind};

use super::support::{alone, bug, titles};

async fn refused(path: &Path) -> StoreError {
    let before = std::fs::read(path).unwrap();
    match Client::open(Options::new("app").unwrap().file(path)).await {
        Err(Error::Store(error)) => {
            assert_eq!(std::fs::read(path).unwrap(), before, "it was touched: {error}");
            assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
            error
        }
        other => panic!("{other:?}"),
    }
}

/// A file with some bugs.
async fn made(path: &Path) {
    let client = alone(path).await;
    for n in 0..20 {
        bug(&client, &format!("bug {n:02}")).await;
    }
    client.close().await.unwrap();
}

/// Changes bytes of a file.
fn patch(path: &Path, at: usize, bytes: &[u8]) {
    let mut file = std::fs::read(path).unwrap();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    std::fs::write(path, file).unwrap();
}

#[tokio::test]
async fn what_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app");
    std::fs::write(&path, "dear diary, today I thought of a file format").unwrap();
    assert_eq!(refused(&path).await.kind(), StoreErrorKind::Foreign);
    std::fs::remove_file(&path).unwrap();

    made(&path).await;
    // SQLite's header has the version at 60 and the application at 68.
    patch(&path, 60, &2u32.to_be_bytes());
    let error = refused(&path).await;
    assert_eq!(error.kind(), StoreErrorKind::Newer);
    assert!(error.to_string().contains("update the app"), "{error}");
    patch(&path, 60, &1u32.to_be_bytes());
    patch(&path, 68, &7u32.to_be_bytes());
    assert_eq!(refused(&path).await.kind(), StoreErrorKind::Foreign);
    patch(&path, 68, b"BLZC");

    match Client::open(Options::new("other").unwrap().file(&path)).await {
        Err(Error::Store(error)) => assert_eq!(error.kind(), StoreErrorKind::OtherDatabase),
        other => panic!("{other:?}"),
    }
    assert_eq!(titles(&alone(&path).await).len(), 20);
}

#[tokio::test]
async fn damage_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app");
    made(&path).await;
    let good = std::fs::read(&path).unwrap();
    let (mut found, mut harmless) = (0, 0);
    for at in (100..good.len()).step_by(211) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        std::fs::write(&path, &bad).unwrap();
        match Client::open(Options::new("app").unwrap().file(&path)).await {
            Err(Error::Store(error)) => {
                assert!(matches!(error.kind(), StoreErrorKind::Damaged | StoreErrorKind::Foreign), "{error}");
                assert_eq!(std::fs::read(&path).unwrap(), bad, "it was touched at {at}");
                found += 1;
            }
            // Nothing stands there, or nothing that counts: everything is as it was.
            Ok(client) => {
                assert_eq!(titles(&client).len(), 20, "something is missing after damage at {at}");
                harmless += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path().join(format!("app{suffix}")));
        }
    }
    assert!(found > 10, "{found} found, {harmless} harmless");
    // Cut in the middle.
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert_eq!(refused(&path).await.kind(), StoreErrorKind::Damaged);
    // The file is gone, and its log is not.
    std::fs::write(&path, b"").unwrap();
    std::fs::write(folder.path().join("app-wal"), b"something").unwrap();
    assert_eq!(refused(&path).await.kind(), StoreErrorKind::Damaged);
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app");
    let client = alone(&path).await;
    bug(&client, "mine").await;
    // Within this process.
    match Client::open(Options::new("app").unwrap().file(&path)).await {
        Err(Error::Store(error)) => {
            assert_eq!(error.kind(), StoreErrorKind::InUse);
            assert!(error.to_string().contains("close it there first"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // And in another one.
    let other = |path: &Path| {
        let test = ["--exact", "file::in_another_process", "--ignored", "--nocapture"];
        let output =
            Command::new(std::env::current_exe().unwrap()).args(test).env("CLIENT_FILE", path).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    };
    let said = other(&path);
    assert!(said.contains("the file is in use"), "{said}");
    client.close().await.unwrap();
    let said = other(&path);
    assert!(said.contains("opened with 1 bugs"), "{said}");
}

/// Run by the test above, with the file's name in the environment.
#[tokio::test]
#[ignore = "a part of another test"]
async fn in_another_process() {
    let path = std::env::var_os("CLIENT_FILE").expect("the file");
    match Client::open(Options::new("app").unwrap().file(path)).await {
        Ok(client) => println!("opened with {} bugs", titles(&client).len()),
        Err(error) => println!("{error}"),
    }
}
