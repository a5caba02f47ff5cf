//! What a node can do to a client by the way it answers, whatever it says: nothing but cost it a bounded time.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use aval_client::{ClientError, ClientOptions, NodeClient};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes that the clients of these tests read of an answer.
const BOUND: u64 = 64 * 1024;

/// Serves one connection after the other with whatever `answer` writes, and gives the address.
fn node(answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            // The client may have had enough: that is what is tested.
            let _ = answer(&mut stream);
        }
    });
    format!("http://{address}")
}

fn client(address: &str) -> NodeClient {
    let options = ClientOptions {
        request_timeout: Duration::from_secs(2),
        response_bytes_max: BOUND,
        ..ClientOptions::default()
    };
    NodeClient::new(address, &options).unwrap()
}

fn head(further: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{further}\r\n")
}

#[test]
fn an_answer_that_unpacks_to_more_than_the_bound_ends_there() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let spaces = vec![b' '; 1 << 20];
    (0..64).for_each(|_| encoder.write_all(&spaces).unwrap());
    let bomb = encoder.finish().unwrap();
    assert!((bomb.len() as u64) < 2 * BOUND, "{} bytes on the wire", bomb.len());
    let address = node(move |stream| {
        let encoded = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len());
        stream.write_all(head(&encoded).as_bytes())?;
        stream.write_all(&bomb)
    });
    let before = resident_kib();
    let error = client(&address).status().unwrap_err();
    assert!(
        matches!(error, ClientError::TooLarge { .. } | ClientError::Malformed(_)),
        "64 MiB out of a few kilobytes: {error:?}"
    );
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "the client grew by {grown} KiB");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_answer_without_an_end_ends_at_the_bound() {
    let address = node(|stream| {
        stream.write_all(head("Connection: close\r\n").as_bytes())?;
        loop {
            stream.write_all(&[b' '; 4096])?;
        }
    });
    let error = client(&address).status().unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { limit: BOUND }), "{error:?}");
}

#[test]
fn a_head_without_an_end_is_given_up() {
    let address = node(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"X-More: and more\r\n")?;
        }
    });
    let started = Instant::now();
    let error = client(&address).status().unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(20), "{error:?}");
}

#[test]
fn an_answer_that_drips_ends_in_time() {
    let address = node(|stream| {
        stream.write_all(head("Content-Length: 10000\r\n").as_bytes())?;
        loop {
            stream.write_all(b" ")?;
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let started = Instant::now();
    let error = client(&address).status().unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
}
