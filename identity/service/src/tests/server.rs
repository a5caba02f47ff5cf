//! The sockets: slow clients, many clients, panics, and the end of the service.

use super::{Answer, request};
use crate::issuer::tests::world::World;
use crate::layers::{self, Side};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::server::{self, Bounds};
use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use prometheus_client::metrics::gauge::Gauge;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

fn quick() -> Bounds {
    Bounds {
        connections_max: 4,
        head_timeout: Duration::from_millis(200),
        life: Duration::from_secs(5),
        drain_timeout: Duration::from_secs(2),
    }
}

/// Sends bytes and reads until the service closes the connection.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection was not closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_its_head_slowly_is_cut_off_and_others_are_served() {
    let world = World::with(quick()).await;
    let started = Instant::now();
    let slow: Vec<_> = (0..8)
        .map(|_| tokio::spawn(exchange(world.public, b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: ")))
        .collect();
    for client in slow {
        let answer = client.await.unwrap();
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    let answer =
        exchange(world.public, b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_answered_or_cut_off_and_harms_nobody() {
    let world = World::with(quick()).await;
    let many = format!("GET /health HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1_000));
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000));
    for bytes in [
        b"\x16\x03\x01\x00\xff\x01".as_slice(),
        b"\0\0\0\0",
        b"GET\r\n\r\n",
        many.as_bytes(),
        long.as_bytes(),
    ] {
        let mut stream = TcpStream::connect(world.admin).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"));
    }
    world.office("GET", "/issuances", "").await;
}

fn side(timeout: Duration, requests_max: usize) -> Side {
    Side {
        name: "admin",
        body_bytes_max: 16,
        announced_bytes_max: 16,
        requests_max,
        timeout,
        error: |status| Problem::of_status(status).into_response(),
        metrics: Metrics::new("aval_test", |_| ()).0,
    }
}

async fn serve(router: Router) -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let served = tokio::spawn(server::serve(listener, router, quick(), Gauge::default(), stopped));
    (address, stop, served)
}

fn slow_router() -> Router {
    let slow = async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        "done"
    };
    Router::new()
        .route("/slow", get(slow))
        .route("/panic", get(async || -> &'static str { panic!("a defect") }))
}

async fn ask(address: SocketAddr, path: &str) -> Answer {
    request("GET", format!("http://{address}{path}"), &[], b"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_answered_as_a_problem_and_the_service_goes_on() {
    let (address, _stop, _) = serve(layers::around(slow_router(), &side(Duration::from_secs(5), 8))).await;
    for _ in 0..3 {
        let answer = ask(address, "/panic").await;
        answer.assert_problem(500, "service.failed");
        assert!(!answer.text().contains("a defect"));
    }
    assert_eq!(ask(address, "/slow").await.text(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_is_ended() {
    let (address, _stop, _) = serve(layers::around(slow_router(), &side(Duration::from_millis(50), 8))).await;
    ask(address, "/slow").await.assert_problem(408, "request.timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_above_the_bound_are_shed() {
    let (address, _stop, _) = serve(layers::around(slow_router(), &side(Duration::from_secs(5), 1))).await;
    let first = tokio::spawn(async move { ask(address, "/slow").await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    let shed = ask(address, "/slow").await;
    shed.assert_problem(503, "service.overloaded");
    assert_eq!(shed.header("retry-after"), "1");
    assert_eq!(first.await.unwrap().text(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_whether_to_send_too_large_a_body_is_refused_before_sending_it() {
    let router = Router::new().route("/echo", post(async |body: String| body));
    let (address, _stop, _) = serve(layers::around(router, &side(Duration::from_secs(5), 8))).await;
    let asking = |length| {
        format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let refused = exchange(address, asking(17).as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    let taken = exchange(address, format!("{}{}", asking(16), "a".repeat(16)).as_bytes()).await;
    assert!(taken.contains("HTTP/1.1 200 ") && taken.ends_with(&"a".repeat(16)), "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_answered_when_the_service_stops_and_new_ones_are_not() {
    let (address, stop, served) =
        serve(layers::around(slow_router(), &side(Duration::from_secs(5), 8))).await;
    let waiting = tokio::spawn(async move { ask(address, "/slow").await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    stop.send_replace(true);
    assert_eq!(waiting.await.unwrap().text(), "done");
    served.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
