//! Certificates as deployments give them: PEM (RFC 7468) that holds nothing else, and not without end.

use ureq::tls::{PemItem, parse_pem};

/// Most certificates of a chain.
pub const CHAIN_MAX: usize = 8;

/// The certificates of a PEM text as DER.
pub fn certificates(pem: &str, most: usize) -> Result<Vec<Vec<u8>>, String> {
    let mut chain = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        match item {
            Ok(PemItem::Certificate(certificate)) => chain.push(certificate.der().to_vec()),
            Ok(_) => return Err("there is something else than certificates among them".to_owned()),
            Err(_) => return Err("they are not PEM".to_owned()),
        }
    }
    if chain.is_empty() || chain.len() > most {
        return Err(format!("there must be 1 to {most} certificates"));
    }
    Ok(chain)
}
