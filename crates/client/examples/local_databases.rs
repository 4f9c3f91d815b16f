//! Several databases on one device, without a server: two windows of an app sync theirs through a relay in
//! the process, and a query joins records of both.
//!
//! ```text
//! cargo run -p blazedb-relay-client --example local_databases
//! ```

use core::error::Error;

use blazedb_relay_client::{
    Client, Direction, Find, JoinKind, LocalRelay, Options, Path, Row, SortBy, SortKey, Value, join,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut |line| println(line)).await
}

#[allow(clippy::print_stdout, reason = "what an example is for")]
fn println(line: &str) {
    println!("{line}");
}

/// The whole story, told line by line.
pub(crate) async fn run(tell: &mut dyn FnMut(&str)) -> Result<(), Box<dyn Error>> {
    let relay = LocalRelay::new();
    let options =
        |database| Ok::<_, Box<dyn Error>>(Options::new(database)?.relay(relay.clone()).subscribe_all());
    // One window writes people, the other one issues; both show both.
    let people = Client::open(options("people")?).await?;
    let issues = Client::open(options("issues")?).await?;

    let ada = people.insert("people", &[("name", "Ada".into())]).await?;
    let grace = people.insert("people", &[("name", "Grace".into())]).await?;
    for (title, owner) in [("Fix login bug", Some(ada)), ("Write docs", Some(grace)), ("Clean up", None)] {
        let mut fields = vec![("title", title.into())];
        fields.extend(owner.map(|owner| ("owner", owner.into())));
        issues.insert("issues", &fields).await?;
    }
    people.settled().await?;
    issues.settled().await?;
    tell("one window: wrote two people, and three issues in another database");

    let shown_people = Client::open(options("people")?).await?;
    let shown_issues = Client::open(options("issues")?).await?;
    shown_people.caught_up().await?;
    shown_issues.caught_up().await?;
    let by_title = SortKey { by: SortBy::Path(Path::field("title")), direction: Direction::Ascending };
    let issues = shown_issues.find("issues", &Find { sort: vec![by_title], ..Find::default() });
    let people = shown_people.find("people", &Find::default());
    tell("other window: joins what has come");
    for (issue, owner) in join(JoinKind::Left, (&issues, &["owner"]), (&people, &[])) {
        let name = owner.map_or("nobody", |owner| text(owner, "name"));
        tell(&format!("  {}: {name}", text(issue, "title")));
    }
    Ok(())
}

fn text<'a>(row: &'a Row, field: &str) -> &'a str {
    match row.fields.get(field) {
        Some(Value::String(text)) => text,
        _ => "",
    }
}
