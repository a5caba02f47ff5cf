//! A host with TLS on this machine, certified by an authority of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aval_client::web::{AllowedHost, WebClient, WebOptions};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the host answers for a path.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
    pub(crate) delay: Duration,
}

impl File {
    pub(crate) fn new(body: impl Into<Vec<u8>>) -> Self {
        let headers = "content-type: application/json\r\n".to_owned();
        Self { status: 200, headers, body: body.into(), delay: Duration::ZERO }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::new("") }
    }

    pub(crate) fn header(mut self, line: &str) -> Self {
        self.headers.push_str(&format!("{line}\r\n"));
        self
    }
}

#[derive(Default)]
struct Shared {
    files: HashMap<String, File>,
    asked: Vec<String>,
}

/// A running host. It ends with the process.
#[derive(Clone)]
pub(crate) struct Host {
    shared: Arc<Mutex<Shared>>,
    address: SocketAddr,
    authority: String,
}

impl Host {
    pub(crate) fn start() -> Self {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_certificate = authority.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let host = Self { shared: Arc::default(), address, authority: authority_certificate.pem() };
        let (serving, config) = (host.clone(), Arc::new(config));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (host, config) = (serving.clone(), config.clone());
                std::thread::spawn(move || host.serve(stream, config));
            }
        });
        host
    }

    /// As `did:web` and `did:webvh` write it.
    pub(crate) fn encoded(&self) -> String {
        format!("127.0.0.1%3A{}", self.address.port())
    }

    pub(crate) fn allowed(&self) -> AllowedHost {
        AllowedHost { host: self.address.to_string(), roots: Some(self.authority.clone()) }
    }

    /// A client that is allowed to ask this host, and no other on this machine.
    pub(crate) fn client(&self) -> WebClient {
        WebClient::new(&WebOptions {
            request_timeout: Duration::from_secs(2),
            allowed: vec![self.allowed()],
            ..WebOptions::default()
        })
        .unwrap()
    }

    pub(crate) fn put(&self, path: &str, file: File) {
        self.lock().files.insert(path.to_owned(), file);
    }

    pub(crate) fn asked(&self) -> usize {
        self.lock().asked.len()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream, config: Arc<ServerConfig>) {
        let connection = ServerConnection::new(config).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut reader = BufReader::new(&mut stream);
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
        while reader.read_line(&mut line).is_ok_and(|length| length > 2) {}
        let file = {
            let mut shared = self.lock();
            shared.asked.push(path.clone());
            shared.files.get(&path).cloned().unwrap_or_else(|| File::status(404))
        };
        std::thread::sleep(file.delay);
        let head = format!(
            "HTTP/1.1 {} X\r\n{}content-length: {}\r\nconnection: close\r\n\r\n",
            file.status,
            file.headers,
            file.body.len()
        );
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&file.body));
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}
