//! `aval accreditation show`: one question, answered with proofs and judged here. A no is data, and exit code 3.

use aval_client::{AccreditationAnswer, AccreditationQuestion, AccreditationVerdict};
use aval_did::resolution::parse_time;
use aval_types::AccreditationRecord;
use aval_types::accreditation::Capacity;
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::{CapacityArg, ShowArgs};
use crate::error::WalletError;
use crate::home;
use crate::output::{Text, date_time};

pub(super) fn run(app: &App, arguments: &ShowArgs) -> Result<(), WalletError> {
    let question = question(arguments)?;
    let connection = app.connection()?;
    let verdict = match &arguments.answer {
        Some(file) => {
            let answer = AccreditationAnswer::from_json(&home::read_input(file)?)?;
            let mut anchor = connection.genesis()?.anchor().clone();
            if let Some(checkpoint) = connection.known_checkpoint()? {
                let unusable =
                    |error| WalletError::Failed(format!("the wallet's checkpoint cannot be used: {error}"));
                anchor = anchor.with_checkpoint(checkpoint).map_err(unusable)?;
            }
            answer.verify_kept(&question, &anchor)?
        }
        None => {
            let client = connection.verifying()?;
            // Moves the checkpoint, and learns of changes of the validators on the way.
            client.checkpoint()?;
            let answer = client.node().accreditation(&question)?;
            let verdict = answer.verify(&question, &client.anchor())?;
            if let Some(file) = &arguments.answer_out {
                home::write_output(file, &answer.to_json())?;
            }
            verdict
        }
    };
    app.output.data(&value(&question, &verdict), |text| describe(text, &question, &verdict))?;
    match &verdict.outcome {
        Ok(_) => Ok(()),
        Err(broken) => Err(WalletError::Invalid {
            code: broken.why.code(),
            message: format!("not accredited: {}: {}", broken.subject, broken.why.sentence()),
        }),
    }
}

fn question(arguments: &ShowArgs) -> Result<AccreditationQuestion, WalletError> {
    let subject = arguments
        .did
        .parse()
        .map_err(|error| WalletError::Usage(format!("{:?} is not a did:aval: {error}", arguments.did)))?;
    let at_s = arguments
        .at
        .as_deref()
        .map(|time| {
            parse_time(time)
                .ok_or_else(|| WalletError::Usage("--at is written as 2026-11-22T10:00:00Z".to_owned()))
        })
        .transpose()?;
    Ok(AccreditationQuestion {
        subject,
        capacity: match arguments.capacity {
            CapacityArg::Issuer => Capacity::Issue,
            CapacityArg::Body => Capacity::Accredit,
        },
        credential_type: arguments.credential_type.clone(),
        role: arguments.role.clone(),
        at_s,
    })
}

fn value(question: &AccreditationQuestion, verdict: &AccreditationVerdict) -> Value {
    let level = |name: &String| verdict.outcome.as_ref().ok()?.level(name).map(|level| level.name());
    json!({
        "accredited": verdict.is_accredited(),
        "did": question.subject.to_string(),
        "type": question.credential_type,
        "role": question.role,
        "at": date_time(verdict.at_ms),
        "level": question.credential_type.as_ref().and_then(level),
        "broken": verdict.outcome.as_ref().err().map(|broken| json!({
            "did": broken.subject.to_string(),
            "code": broken.why.code(),
            "reason": broken.why.sentence(),
        })),
        "chain": verdict.records,
        "height": verdict.height,
        "time": date_time(verdict.time_ms),
        "settled": verdict.is_settled,
        "verified": true,
    })
}

fn describe(text: &mut Text, question: &AccreditationQuestion, verdict: &AccreditationVerdict) {
    let what = question.credential_type.as_deref().map(|name| format!(" for {name}")).unwrap_or_default();
    let role = question.role.as_deref().map(|role| format!(", role {role}")).unwrap_or_default();
    match &verdict.outcome {
        Ok(chain) => {
            text.done(&format!("{} is accredited{what}{role}", question.subject));
            if let Some(level) = question.credential_type.as_deref().and_then(|name| chain.level(name)) {
                text.field("level", level.name());
            }
        }
        Err(broken) => {
            text.failed(&format!("{} is not accredited{what}{role}", question.subject));
            text.field("because", &format!("{}: {}", broken.subject, broken.why.sentence()));
        }
    }
    for record in &verdict.records {
        text.field(record.kind.name(), &link(record));
    }
    text.field("at", &date_time(verdict.at_ms));
    text.field("proven as of", &format!("block {} of {}", verdict.height, date_time(verdict.time_ms)));
}

fn link(record: &AccreditationRecord) -> String {
    let mut link = format!("{} until {}", record.subject, date_time(record.expires));
    if let Some(height) = record.revoked {
        link.push_str(&format!(", revoked in block {height}"));
        if let Some(by) = &record.revoked_by {
            link.push_str(&format!(" by {by}"));
        }
    }
    link
}
