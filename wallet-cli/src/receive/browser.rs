//! The user's way over the issuer's page, as RFC 8252 has it for programs: the wallet waits on this machine for the
//! browser to come back, and takes nothing from it but the answer to its own question.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use aval_codec::b64u;
use aval_did::SigningKey;
use aval_openid::OpenIdError;
use aval_openid::oauth::authorization::CodeRequest;
use aval_openid::vci::{Authorized, Login, Redeemable, Secrets};

use super::http::Http;
use super::offer::issuer;
use crate::app::{App, random};
use crate::error::WalletError;

/// Who asks. Nobody registers this wallet anywhere: the name proves nothing.
const CLIENT_ID: &str = "aval-wallet";
/// As long as a pushed request waits for its user with most issuers.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(50);
/// A browser opens connections on which it then says nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// Gets a token by the authorization code.
pub(super) fn authorize(
    app: &App,
    http: &Http,
    redeemable: &Redeemable,
    configuration: &str,
) -> Result<Authorized, WalletError> {
    let landing = Landing::open()?;
    let client = (CLIENT_ID, landing.address.as_str());
    let login = redeemable.login(configuration, client, secrets()?).map_err(issuer)?;
    let answer = http.send_proven(|proving| login.push_request(proving))?;
    let page = login.on_pushed(&answer.response()).map_err(issuer)?;
    app.output.ask_about(false, |text| {
        text.title("The issuer wants to know who you are");
        text.line("Open this address with a browser on this machine. The wallet waits for five minutes.");
        text.line(&page);
    });
    let code = landing.wait(&login, Instant::now() + PATIENCE)?;
    let answer = http.send_proven(|proving| login.token_request(&code, proving))?;
    match login.key() {
        Some(key) => redeemable.on_bound_token(&answer.response(), key.clone()),
        None => redeemable.on_token(&answer.response()),
    }
    .map_err(issuer)
}

fn secrets() -> Result<Secrets, WalletError> {
    let key = SigningKey::p256_from_seed(&random()?)
        .map_err(|_| WalletError::Failed("the system's random bytes are no key: try again".to_owned()))?;
    Ok(Secrets { code_verifier: b64u::encode(random::<32>()?), state: b64u::encode(random::<16>()?), key })
}

/// Where the browser comes back to: a port of this machine that the system chose.
struct Landing {
    listener: TcpListener,
    address: String,
}

impl Landing {
    fn open() -> Result<Self, WalletError> {
        let failed = |source| WalletError::io("wait for a browser on", "127.0.0.1", source);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, address: format!("http://127.0.0.1:{port}/") })
    }

    /// Waits for the answer. What is not one to this login is refused and changes nothing: any program of this
    /// machine can knock here.
    fn wait(&self, login: &Login, until: Instant) -> Result<CodeRequest, WalletError> {
        while Instant::now() < until {
            let Ok((mut browser, _)) = self.listener.accept() else {
                std::thread::sleep(POLL);
                continue;
            };
            let Some(target) = target(&mut browser) else {
                answer(&mut browser, "400 Bad Request", "This is not what the wallet waits for.");
                continue;
            };
            match login.on_redirect(&target) {
                Ok(code) => {
                    answer(&mut browser, "200 OK", "Done. Go back to the wallet; this page can be closed.");
                    return Ok(code);
                }
                Err(error @ OpenIdError::Refused { .. }) => {
                    answer(&mut browser, "200 OK", "The issuer said no. The wallet says more.");
                    return Err(issuer(error));
                }
                Err(_) => answer(&mut browser, "400 Bad Request", "This is not what the wallet waits for."),
            }
        }
        Err(WalletError::TryLater("nobody came back from the issuer's page in five minutes".to_owned()))
    }
}

/// What a browser asks for.
fn target(browser: &mut TcpStream) -> Option<String> {
    browser.set_nonblocking(false).ok()?;
    browser.set_read_timeout(Some(READ_TIMEOUT)).ok()?;
    browser.set_write_timeout(Some(READ_TIMEOUT)).ok()?;
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    while head.len() < REQUEST_BYTES_MAX {
        let read = browser.read(&mut piece).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(piece.get(..read)?);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(&head).ok()?.is_complete() {
            let is_answer = request.method == Some("GET");
            return request.path.filter(|path| is_answer && path.starts_with("/?")).map(str::to_owned);
        }
    }
    None
}

/// The page at the end. Whether the browser gets to see it changes nothing.
fn answer(browser: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>aval</title><p>{text}</p>\n");
    let _ = write!(
        browser,
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         content-security-policy: default-src 'none'\r\nreferrer-policy: no-referrer\r\ncache-control: no-store\r\n\
         connection: close\r\n\r\n{page}",
        page.len()
    );
}
