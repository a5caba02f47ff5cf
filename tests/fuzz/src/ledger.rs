//! What a node reads from clients and from other validators: submissions, envelopes, bodies, blocks, headers, receipts.

use std::sync::LazyLock;

use aval_machine::testkit::Kit;
use aval_machine::{Rules, check, check_all};
use aval_types::block::{decode_body, encode_body, transaction_length, transactions_root, witnesses_root};
use aval_types::{
    Block, BlockReceipt, Header, Mode, Payload, Receipt, SignedTransaction, SubmittedTransaction,
    TransactionId, UnsignedTransaction,
};

static RULES: LazyLock<Rules> = LazyLock::new(|| Kit::new(1).rules());

static HEADER: LazyLock<Header> =
    LazyLock::new(|| Kit::new(1).genesis().header(aval_codec::Hash::ZERO, aval_codec::Hash::ZERO));

/// `POST /v1/transactions`.
pub(crate) fn submission(bytes: &[u8]) -> bool {
    let Ok(submitted) = SubmittedTransaction::from_body(bytes) else { return false };
    let again = SubmittedTransaction::from_body(&submitted.to_body());
    assert_eq!(again.as_ref(), Ok(&submitted), "a body that was written is not read as it was");
    signed(&submitted.transaction);
    let alone = check(submitted.clone(), &RULES).map(|checked| checked.envelope_hash());
    if submitted.transaction.verify_signatures().is_err() {
        assert!(alone.is_err(), "a transaction whose signatures do not verify passed the check");
    }
    let together = check_all(vec![submitted.clone(), submitted], &RULES);
    for checked in together {
        let checked = checked.map(|checked| checked.envelope_hash());
        assert_eq!(checked, alone, "a batch decides otherwise than a single check");
    }
    true
}

/// What is signed: the payload alone, with the action in it.
pub(crate) fn payload(bytes: &[u8]) -> bool {
    let Ok(transaction) = UnsignedTransaction::from_payload_bytes(bytes.to_vec()) else { return false };
    assert_eq!(transaction.payload_bytes(), bytes);
    let payload = transaction.payload();
    let again = Payload::parse(&payload.to_bytes());
    assert_eq!(again.as_ref(), Ok(payload), "a payload that was written is not read as it was");
    assert!(payload.validate().is_ok() && payload.action.validate().is_ok());
    let _ = (payload.action.dids().count(), payload.action.grant(), payload.action.controlled());
    true
}

/// A transaction as a block carries it.
pub(crate) fn envelope(bytes: &[u8]) -> bool {
    let Ok(transaction) = SignedTransaction::from_envelope(bytes) else { return false };
    assert_eq!(transaction.to_envelope(), bytes, "an envelope has two spellings");
    signed(&transaction);
    true
}

/// What holds of every transaction that was read, however it was written.
fn signed(transaction: &SignedTransaction) {
    let jws = transaction.to_jws();
    assert_eq!(SignedTransaction::from_jws(jws.as_bytes()).as_ref(), Ok(transaction));
    assert_eq!(SignedTransaction::from_envelope(&transaction.to_envelope()).as_ref(), Ok(transaction));
    assert_eq!(TransactionId::of_payload(transaction.payload_bytes()), transaction.id());
    assert_eq!(transaction.signatures().len(), transaction.payload().signers.len());
}

/// The body of a block, which is also what validators send each other before there is a block (gossip).
pub(crate) fn body(bytes: &[u8]) -> bool {
    let full = decode_body(bytes, Mode::Full);
    let any = decode_body(bytes, Mode::Any);
    if let Ok(full) = &full {
        assert_eq!(any.as_ref(), Ok(full), "what is full is not read where both forms are");
    }
    let Ok(transactions) = any else { return false };
    assert_eq!(encode_body(&transactions), bytes, "a body has two spellings");
    let lengths: usize = transactions.iter().map(transaction_length).sum();
    assert!(lengths <= bytes.len(), "transactions are longer than the body that holds them");
    // With the roots of this body in its header it is a block.
    let mut header = HEADER.clone();
    header.transactions_root = transactions_root(&transactions);
    header.witnesses_root = witnesses_root(&transactions);
    let whole = Block { header, transactions: transactions.clone() };
    assert!(block(&whole.encode()), "a body with its roots in a header is no block");
    for transaction in &transactions {
        if let Ok(transaction) = transaction.transaction() {
            signed(&transaction);
        }
    }
    true
}

/// A block, full as it is voted on, or stripped as it is kept.
pub(crate) fn block(bytes: &[u8]) -> bool {
    let full = Block::decode(bytes, Mode::Full);
    let any = Block::decode(bytes, Mode::Any);
    if let Ok(full) = &full {
        assert_eq!(any.as_ref(), Ok(full), "what is full is not read where both forms are");
    }
    let Ok(block) = any else { return false };
    assert_eq!(block.encode(), bytes, "a block has two spellings");
    assert_eq!(block.encoded_length(), bytes.len());
    let stripped = block.strip();
    assert_eq!(stripped.digest(), block.digest(), "stripping changes the digest");
    assert_eq!(stripped.strip(), stripped);
    assert_eq!(Block::decode(&stripped.encode(), Mode::Any).as_ref(), Ok(&stripped));
    let has_witness = stripped != block;
    assert!(
        !has_witness || Block::decode(&stripped.encode(), Mode::Full).is_err(),
        "stripped passes as full"
    );
    true
}

/// A header.
pub(crate) fn header(bytes: &[u8]) -> bool {
    let Ok(header) = Header::decode(bytes) else { return false };
    assert_eq!(header.encode(), bytes, "a header has two spellings");
    let mut other = header.clone();
    other.height ^= 1;
    assert_ne!(other.digest(), header.digest());
    true
}

/// The receipts of a transaction and of a block.
pub(crate) fn receipt(bytes: &[u8]) -> bool {
    let (of_transaction, of_block) = (Receipt::decode(bytes), BlockReceipt::decode(bytes));
    if let Ok(receipt) = &of_transaction {
        assert_eq!(receipt.encode(), bytes, "a receipt has two spellings");
        assert!(of_block.is_err(), "a receipt passes as a block's");
    }
    if let Ok(receipt) = &of_block {
        assert_eq!(receipt.encode(), bytes, "a block's receipt has two spellings");
    }
    of_transaction.is_ok() || of_block.is_ok()
}
