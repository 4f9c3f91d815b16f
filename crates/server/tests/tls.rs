//! TLS, with a certificate of the test's own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::fs;
use std::sync::Arc;

use blazedb_relay_server::Server;
use blazedb_relay_server::config::TlsFiles;
use blazedb_relay_server::store::MemoryStore;
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use support::{Came, Hello, Wire, config, request};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message as WsMessage;

#[tokio::test]
async fn a_client_that_trusts_the_certificate() {
    let folder = tempfile::TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    fs::write(&files.certificate, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let mut config = config();
    config.tls = Some(files);
    let server = support::server(&config).await;

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
    let (mut socket, _) = client_async(request(server.address()), stream).await.unwrap();

    socket.send(WsMessage::Binary(Hello::new(1).to_bytes().into())).await.unwrap();
    let welcome = socket.next().await.unwrap().unwrap().into_data();
    assert_eq!(welcome[2..4], [0, 4]);

    // Who speaks no TLS gets nothing.
    let plain = TcpStream::connect(server.address()).await.unwrap();
    client_async(request(server.address()), plain).await.unwrap_err();
    drop(socket);
    server.shut_down().await;
}

#[tokio::test]
async fn mistakes_name_key_and_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, "no key").unwrap();
    for (files, parts) in [
        (
            TlsFiles { certificate: folder.path().join("none.pem"), key: key.clone() },
            ["tls.certificate", "none.pem"],
        ),
        (TlsFiles { certificate: key.clone(), key: key.clone() }, ["tls.certificate", "key.pem"]),
        (TlsFiles { certificate, key: key.clone() }, ["tls.key", "key.pem"]),
    ] {
        let mut config = config();
        config.tls = Some(files);
        let error = Server::start(&config, MemoryStore::default()).await.unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part} is not in {error:?}");
        }
    }
    // The same port twice.
    let first = support::server(&config()).await;
    let mut second = config();
    second.listen = first.address();
    let error = Server::start(&second, MemoryStore::default()).await.unwrap_err().to_string();
    assert!(error.contains("listen") && error.contains("in use"), "{error:?}");
    let mut wire = Wire::welcomed(first.address(), &Hello::new(1)).await;
    wire.close().await;
    assert!(matches!(wire.next().await, Came::Closed(1_000)));
}
