//! A question to a node of this machine over plain HTTP, for `devnet`, `doctor` and joining. Bounded in time and size.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of the lines before the body.
const HEAD_BYTES_MAX: u64 = 16 * 1024;

/// Status and body of `GET path`, or nothing if no node answers properly there.
pub(crate) fn get(address: SocketAddr, path: &str, timeout: Duration) -> Option<(u16, Vec<u8>)> {
    get_bounded(address, path, timeout, ANSWER_BYTES_MAX)
}

/// As [`get`], for an answer of up to so many bytes. One that is longer or cut off counts as none.
pub(crate) fn get_bounded(
    address: SocketAddr,
    path: &str,
    timeout: Duration,
    bytes_max: usize,
) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&address, timeout).ok()?;
    stream.set_read_timeout(Some(timeout)).ok()?;
    stream.set_write_timeout(Some(timeout)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let bytes_max = u64::try_from(bytes_max).ok()?.saturating_add(HEAD_BYTES_MAX);
    stream.take(bytes_max).read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = answer.get(end + 4..)?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    (length? == body.len()).then(|| (status, body.to_vec()))
}

/// The JSON of a 200 answer. The interface answers with a length, so the body needs no decoding.
pub(crate) fn get_json(address: SocketAddr, path: &str, timeout: Duration) -> Option<serde_json::Value> {
    match get(address, path, timeout)? {
        (200, body) => serde_json::from_slice(&body).ok(),
        _ => None,
    }
}
