use std::collections::HashMap;

use super::*;

fn load(flags: &Flags, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Config::load(flags, |name| variables.get(name).map(OsString::from)).map_err(|error| error.to_string())
}

/// Writes a file of this text, and gives its path.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("blazedb-relay-config-{}-{name}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

fn of_file(name: &str, text: &str) -> Result<Config, String> {
    let path = file(name, text);
    let loaded = load(&Flags { config: Some(path.clone()), ..Flags::default() }, &[]);
    std::fs::remove_file(path).unwrap();
    loaded
}

#[test]
fn without_anything_it_is_open_and_local() {
    let config = load(&Flags::default(), &[]).unwrap();
    assert_eq!(config.listen.to_string(), DEFAULT_LISTEN);
    assert_eq!(config.data, Path::new(DEFAULT_DATA));
    assert!(config.tokens.is_empty() && config.tls.is_none() && config.create_databases);
}

#[test]
fn flags_go_before_variables_before_the_file() {
    let path = file("order", "listen = '127.0.0.1:1'\ndata = 'of-file'\nlog = 'warn'");
    let flags = Flags { config: Some(path.clone()), listen: Some("127.0.0.1:3".into()), ..Flags::default() };
    let variables = [("BLAZEDB_RELAY_LISTEN", "127.0.0.1:2"), ("BLAZEDB_RELAY_DATA", "of-variable")];
    let config = load(&flags, &variables).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.data, Path::new("of-variable"));
    assert_eq!(config.log, "warn");
}

#[test]
fn a_whole_file() {
    let config = of_file(
        "whole",
        r#"
        listen = "0.0.0.0:7700"
        data = "/var/lib/blazedb-relay"
        hosts = ["relay.example.com"]
        origins = ["https://app.example.com"]
        create_databases = false
        log_format = "json"

        [tls]
        certificate = "cert.pem"
        key = "key.pem"

        [limits]
        connections = 5
        heartbeat_seconds = 10

        [[tokens]]
        principal = "ann"
        token = "secret"
        valid_until = 2030-01-01T00:00:00Z
        rights = [
            { database = "app", access = "read-write", collections = { salaries = "none" } },
            { database = "*", access = "read" },
        ]
        "#,
    )
    .unwrap();
    assert_eq!(config.limits.connections, 5);
    assert_eq!(config.limits.heartbeat_seconds, 10);
    assert_eq!(config.limits.open_databases, Limits::default().open_databases);
    assert_eq!(config.log_format, LogFormat::Json);
    assert!(!config.create_databases);
    let token = config.tokens.first().unwrap();
    assert_eq!((token.principal.as_str(), token.grants.len()), ("ann", 2));
    assert_eq!(token.digest, Digest::of(b"secret"));
    assert!(config.tls.is_some());
}

#[test]
fn mistakes_name_the_key_and_the_place() {
    let of_variables = |variables: &[(&str, &str)]| load(&Flags::default(), variables).unwrap_err();
    let flags = Flags { listen: Some("localhost".into()), ..Flags::default() };
    let missing = Flags { config: Some("/no/such/file".into()), ..Flags::default() };
    let token = "[[tokens]]\nprincipal = 'ann'\n";
    for (error, parts) in [
        (load(&flags, &[]).unwrap_err(), vec!["--listen", "localhost", "127.0.0.1:7700"]),
        (load(&missing, &[]).unwrap_err(), vec!["/no/such/file", "cannot be read"]),
        (of_variables(&[("BLAZEDB_RELAY_LISTEN", "7700")]), vec!["BLAZEDB_RELAY_LISTEN", "7700"]),
        (of_variables(&[("BLAZEDB_RELAY_LOG_FORMAT", "xml")]), vec!["LOG_FORMAT", "text or json"]),
        (of_variables(&[("BLAZEDB_RELAY_LOG", "hub=loud")]), vec!["BLAZEDB_RELAY_LOG"]),
        (of_variables(&[("BLAZEDB_RELAY_TLS_KEY", "k")]), vec!["BLAZEDB_RELAY_TLS_KEY", "tls.certificate"]),
        (of_variables(&[("BLAZEDB_RELAY_LISTEN", "0.0.0.0:1")]), vec!["[[tokens]]", "BLAZEDB_RELAY_TOKEN"]),
        (of_file("key", "lisen = 1").unwrap_err(), vec!["key.toml", "line 1", "lisen", "listen"]),
        (of_file("type", "hosts = 'a'").unwrap_err(), vec!["type.toml", "line 1", "hosts"]),
        (
            of_file("limit", "[limits]\nconnections = 0").unwrap_err(),
            vec!["limits.connections in", "at least 1"],
        ),
        (
            of_file("beat", "[limits]\nheartbeat_seconds = 4000").unwrap_err(),
            vec!["limits.heartbeat_seconds in", "1 to 3600"],
        ),
        (of_file("token", &format!("{token}rights = []\n")).unwrap_err(), vec!["tokens[0]", "token_sha256"]),
        (
            of_file("rights", &format!("{token}token = 's'\nrights = []\n")).unwrap_err(),
            vec!["tokens[0]", "rights"],
        ),
    ] {
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
}

#[test]
fn a_token_of_the_environment_opens_the_relay_to_others() {
    let variables = [("BLAZEDB_RELAY_LISTEN", "0.0.0.0:7700"), ("BLAZEDB_RELAY_TOKEN", "secret")];
    let config = load(&Flags::default(), &variables).unwrap();
    assert_eq!(config.tokens.len(), 1);
}
