//! The examples do what they say.

#[path = "../../examples/local_databases.rs"]
#[allow(dead_code, reason = "its main function is not used here")]
mod local_databases;
#[path = "../../examples/two_devices.rs"]
#[allow(dead_code, reason = "its main function is not used here")]
mod two_devices;

#[tokio::test]
async fn two_devices_meet() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    two_devices::run(None, folder.path(), &mut |line| told.push(line.to_owned())).await.unwrap();
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[3], "both:   closed, renamed, and 5 votes: nothing was lost");
}

#[tokio::test]
async fn local_databases_are_joined() {
    let mut told = Vec::new();
    local_databases::run(&mut |line| told.push(line.to_owned())).await.unwrap();
    assert_eq!(told[2..], ["  Clean up: nobody", "  Fix login bug: Ada", "  Write docs: Grace"]);
}
