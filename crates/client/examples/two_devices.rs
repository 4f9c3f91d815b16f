//! A bug tracker on two devices, which meet at a relay.
//!
//! ```text
//! cargo run -p blazedb-relay-client --example two_devices
//! cargo run -p blazedb-relay-client --example two_devices -- ws://127.0.0.1:8080/sync
//! ```
//!
//! Without a URL, the relay is one in this process.

use core::error::Error;
use std::path::Path;

use blazedb_relay_client::{
    Client, Comparison, Filter, Find, LocalRelay, Options, Path as At, Value, WriteState,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1);
    let folder = std::env::temp_dir().join(format!("two_devices-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = run(url.as_deref(), &folder, &mut |line| println(line)).await;
    std::fs::remove_dir_all(&folder)?;
    result
}

#[allow(clippy::print_stdout, reason = "what an example is for")]
fn println(line: &str) {
    println!("{line}");
}

/// The whole story, told line by line.
pub(crate) async fn run(
    url: Option<&str>,
    folder: &Path,
    tell: &mut dyn FnMut(&str),
) -> Result<(), Box<dyn Error>> {
    let relay = LocalRelay::new();
    let open = |device: &str| {
        let options = Options::new("tracker")?.file(folder.join(device)).subscribe_all();
        match url {
            Some(url) => Ok::<_, Box<dyn Error>>(options.url(url)?),
            None => Ok(options.relay(relay.clone())),
        }
    };
    let phone = Client::open(open("phone")?).await?;
    let laptop = Client::open(open("laptop")?).await?;

    let bug = phone
        .insert("bugs", &[("title", "Fix login bug".into()), ("status", "open".into()), ("votes", 0.into())])
        .await?;
    phone.settled().await?;
    tell("phone:  wrote a bug, and the relay has it");
    both_have(&laptop, |client| client.record("bugs", bug).is_some()).await?;
    tell("laptop: sees the bug");

    // Both are offline, and change the same record.
    phone.disconnect().await?;
    laptop.disconnect().await?;
    let closing = phone.update("bugs", bug, &[("status", "closed".into())]).await?;
    phone.increment("bugs", bug, &["votes"], 2).await?;
    laptop.update("bugs", bug, &[("title", "Fix the login bug".into())]).await?;
    laptop.increment("bugs", bug, &["votes"], 3).await?;
    tell(&format!(
        "phone:  closed it offline: {:?}, {} queued",
        phone.write_state(closing),
        phone.status().queued
    ));

    phone.connect();
    laptop.connect();
    phone.settled().await?;
    laptop.settled().await?;
    let merged = |client: &Client| {
        client.record("bugs", bug).is_some_and(|fields| {
            fields.get("status") == Some(&"closed".into())
                && fields.get("title") == Some(&"Fix the login bug".into())
                && fields.get("votes") == Some(&Value::Int(5))
        })
    };
    both_have(&phone, merged).await?;
    both_have(&laptop, merged).await?;
    assert_eq!(phone.write_state(closing), WriteState::Durable);
    tell("both:   closed, renamed, and 5 votes: nothing was lost");

    let open_bugs = Find {
        filter: Filter::Compare(Comparison::NotEqual, At::field("status"), "closed".into()),
        ..Find::default()
    };
    tell(&format!("laptop: {} open bugs", laptop.find("bugs", &open_bugs).len()));
    phone.close().await?;
    laptop.close().await?;
    Ok(())
}

/// Waits until a client sees something.
async fn both_have(client: &Client, seen: impl Fn(&Client) -> bool) -> Result<(), Box<dyn Error>> {
    let mut version = client.watch();
    while !seen(client) {
        version.changed().await?;
    }
    Ok(())
}
