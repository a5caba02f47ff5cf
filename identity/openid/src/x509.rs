//! Certificates in place of DIDs: the chains of `x5c` headers (RFC 5280, RFC 7515 section 4.1.6), as HAIP 1.0 demands
//! them.
//!
//! `webpki` verifies chains; here stands what the protocols add: which names count, that the leaf is not its own root,
//! and which keys are read. Revocation of certificates is not looked at.

use aval_codec::{b64u, sha256};
use aval_did::key::PublicKey;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};

/// What stands before the point in the DER of a P-256 public key (RFC 5480), and before the key in that of Ed25519
/// (RFC 8410). DER has one encoding of each.
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P256_SHA384,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::ED25519,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
];

/// Why a chain is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not certificates.
    #[error("the certificates cannot be read")]
    Malformed,
    /// The leaf certifies itself.
    #[error("the signer's certificate certifies itself")]
    SelfSigned,
    /// A root of trust was sent along, which proves nothing and is forbidden.
    #[error("the chain has its own root of trust in it")]
    RootIncluded,
    /// The chain leads to no root that is trusted here.
    #[error("the certificates lead to no authority that is trusted here")]
    Untrusted,
    /// Expired, or not begun.
    #[error("a certificate is not valid at this time")]
    Validity,
    /// A signature or a constraint in the chain is broken.
    #[error("the chain of certificates is broken")]
    Broken,
    /// The key is of a kind that is not read here.
    #[error("the certificate's key is neither P-256 nor Ed25519")]
    Key,
    /// The certificate is for another name.
    #[error("the certificate is not for this name")]
    Name,
}

/// Roots of trust, as DER.
#[derive(Debug, Clone, Default)]
pub struct Anchors(Vec<CertificateDer<'static>>);

impl Anchors {
    /// Takes certificates as roots. One that cannot be read is refused.
    pub fn new(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, CertificateError> {
        let anchors: Vec<_> = certificates.into_iter().map(CertificateDer::from).collect();
        for anchor in &anchors {
            anchor_from_trusted_cert(anchor).map_err(|_| CertificateError::Malformed)?;
        }
        Ok(Self(anchors))
    }
}

/// A chain that leads to a root of trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// The leaf's key.
    pub key: PublicKey,
    /// The DNS names of the leaf.
    pub dns_names: Vec<String>,
    /// The URIs of the leaf.
    pub uris: Vec<String>,
    /// SHA-256 of the leaf's DER.
    pub leaf_hash: [u8; 32],
}

struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Verifies a chain, the leaf first, at a time. The root must not be in it, and the leaf must not be its own issuer
/// (HAIP 1.0 section 6.1.1).
pub fn verify(chain: &[Vec<u8>], anchors: &Anchors, now_s: i64) -> Result<Certified, CertificateError> {
    let (leaf, rest) = chain.split_first().ok_or(CertificateError::Malformed)?;
    if rest.iter().any(|one| anchors.0.iter().any(|anchor| anchor.as_ref() == one.as_slice())) {
        return Err(CertificateError::RootIncluded);
    }
    let leaf_der = CertificateDer::from(leaf.as_slice());
    let leaf_read = EndEntityCert::try_from(&leaf_der).map_err(|_| CertificateError::Malformed)?;
    if leaf_read.issuer() == leaf_read.subject() {
        return Err(CertificateError::SelfSigned);
    }
    let between: Vec<_> = rest.iter().map(|one| CertificateDer::from(one.as_slice())).collect();
    let roots: Vec<TrustAnchor<'_>> =
        anchors.0.iter().filter_map(|anchor| anchor_from_trusted_cert(anchor).ok()).collect();
    let seconds = u64::try_from(now_s).map_err(|_| CertificateError::Validity)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    leaf_read.verify_for_usage(ALGORITHMS, &roots, &between, time, AnyPurpose, None, None).map_err(
        |error| match error {
            webpki::Error::UnknownIssuer => CertificateError::Untrusted,
            webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => {
                CertificateError::Validity
            }
            webpki::Error::BadDer => CertificateError::Malformed,
            _ => CertificateError::Broken,
        },
    )?;
    Ok(Certified {
        key: key_of(leaf_read.subject_public_key_info().as_ref())?,
        dns_names: leaf_read.valid_dns_names().map(str::to_owned).collect(),
        uris: leaf_read.valid_uri_names().map(str::to_owned).collect(),
        leaf_hash: *sha256(leaf).as_bytes(),
    })
}

/// What a certificate says by its own word, which proves nothing: for whoever has it of himself.
pub fn leaf(der: &[u8]) -> Result<Certified, CertificateError> {
    let certificate = CertificateDer::from(der);
    let read = EndEntityCert::try_from(&certificate).map_err(|_| CertificateError::Malformed)?;
    Ok(Certified {
        key: key_of(read.subject_public_key_info().as_ref())?,
        dns_names: read.valid_dns_names().map(str::to_owned).collect(),
        uris: read.valid_uri_names().map(str::to_owned).collect(),
        leaf_hash: *sha256(der).as_bytes(),
    })
}

fn key_of(info: &[u8]) -> Result<PublicKey, CertificateError> {
    if let Some(point) = info.strip_prefix(P256_PREFIX) {
        return PublicKey::p256(point).map_err(|_| CertificateError::Key);
    }
    if let Some(key) = info.strip_prefix(ED25519_PREFIX) {
        return PublicKey::ed25519(key).map_err(|_| CertificateError::Key);
    }
    Err(CertificateError::Key)
}

impl Certified {
    /// Whether the leaf is for this DNS name. A wildcard is a name like any other here: it matches nothing but itself.
    pub fn is_for(&self, name: &str) -> bool {
        self.dns_names.iter().any(|one| one.eq_ignore_ascii_case(name))
    }
}

/// The hash of a leaf as `x509_hash` client identifiers have it.
pub fn leaf_hash(leaf: &[u8]) -> String {
    b64u::encode(sha256(leaf))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use aval_did::key::SigningKey;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};

    /// A P-256 key that both `rcgen` and we have.
    fn key_pair(seed: u8) -> (KeyPair, SigningKey) {
        let key = SigningKey::p256_from_seed(&[seed; 32]).unwrap();
        let PublicKey::P256(_) = key.public() else { panic!("a P-256 key") };
        let jwk = key.public().to_jwk();
        let coordinate = |name: &str| b64u::decode(jwk.get(name).unwrap().as_str().unwrap()).unwrap();
        // PKCS #8 of an EC private key with its public key (RFC 5958, RFC 5915).
        let der = [
            &[0x30, 0x81, 0x87, 0x02, 0x01, 0x00][..],
            &P256_PREFIX[2..23],
            &[0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20],
            key.to_seed().as_ref(),
            &[0xa1, 0x44, 0x03, 0x42, 0x00, 0x04],
            &coordinate("x"),
            &coordinate("y"),
        ]
        .concat();
        let der = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &PKCS_ECDSA_P256_SHA256).unwrap();
        (der, key)
    }

    fn named(name: &str, dns: &[&str]) -> CertificateParams {
        let mut params =
            CertificateParams::new(dns.iter().map(|&one| one.to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params
    }

    /// A root, and a leaf with its key for these DNS names.
    pub(crate) fn certified(dns: &[&str]) -> (Anchors, Vec<Vec<u8>>, SigningKey) {
        let (root_key, _) = key_pair(90);
        let mut root = named("Root", &[]);
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root.self_signed(&root_key).unwrap();
        let (leaf_key, signing_key) = key_pair(91);
        let leaf = named("Leaf", dns).signed_by(&leaf_key, &Issuer::new(root, root_key)).unwrap();
        let anchors = Anchors::new([root_certificate.der().to_vec()]).unwrap();
        (anchors, vec![leaf.der().to_vec()], signing_key)
    }

    pub(crate) const NOW_S: i64 = 1_795_339_800;

    #[test]
    fn a_chain_to_a_root_gives_key_and_names() {
        let (anchors, chain, key) = certified(&["verifier.example", "*.wild.example"]);
        let certified = verify(&chain, &anchors, NOW_S).unwrap();
        assert_eq!(certified.key, key.public());
        assert!(certified.is_for("Verifier.example"));
        assert!(!certified.is_for("other.example") && !certified.is_for("a.wild.example"));
        assert_eq!(leaf(&chain[0]).unwrap().key, key.public());
    }

    #[test]
    fn a_chain_to_nowhere_or_out_of_time_is_refused() {
        let (anchors, chain, _) = certified(&["verifier.example"]);
        assert_eq!(verify(&chain, &Anchors::default(), NOW_S), Err(CertificateError::Untrusted));
        assert_eq!(verify(&chain, &anchors, NOW_S - 40_000_000), Err(CertificateError::Validity));
        assert_eq!(verify(&chain, &anchors, NOW_S + 40_000_000), Err(CertificateError::Validity));
        assert_eq!(verify(&chain, &anchors, -1), Err(CertificateError::Validity));
        assert_eq!(verify(&[], &anchors, NOW_S), Err(CertificateError::Malformed));
        assert_eq!(verify(&[vec![1, 2, 3]], &anchors, NOW_S), Err(CertificateError::Malformed));
    }

    #[test]
    fn a_leaf_that_certifies_itself_and_a_root_in_the_chain_are_refused() {
        let (key, _) = key_pair(92);
        let alone = named("Alone", &["verifier.example"]).self_signed(&key).unwrap().der().to_vec();
        let anchors = Anchors::new([alone.clone()]).unwrap();
        assert_eq!(verify(&[alone], &anchors, NOW_S), Err(CertificateError::SelfSigned));
        let (anchors, mut chain, _) = certified(&["verifier.example"]);
        chain.push(anchors.0[0].to_vec());
        assert_eq!(verify(&chain, &anchors, NOW_S), Err(CertificateError::RootIncluded));
    }

    #[test]
    fn a_certificate_with_a_changed_byte_never_verifies() {
        let (anchors, chain, _) = certified(&["verifier.example"]);
        for position in (0..chain[0].len()).step_by(7) {
            let mut leaf = chain[0].clone();
            leaf[position] ^= 1;
            assert!(verify(&[leaf], &anchors, NOW_S).is_err(), "byte {position}");
        }
    }
}
