//! `aval did list`: what the vault holds, without asking the ledger.

use serde_json::{Value, json};

use crate::app::App;
use crate::error::WalletError;
use crate::vault::StoredDid;

fn state(entry: &StoredDid) -> &'static str {
    match (&entry.state, &entry.pending) {
        (Some(state), _) if state.deactivated => "deactivated",
        (_, Some(_)) => "pending",
        (Some(_), None) => "active",
        (None, None) => "not on the ledger",
    }
}

pub(super) fn run(app: &App) -> Result<(), WalletError> {
    let contents = app.vault()?.read()?;
    let row = |entry: &StoredDid| -> Value {
        json!({
            "did": entry.did,
            "state": state(entry),
            "versionId": entry.state.as_ref().map(|state| state.version_id.clone()),
            "rotations": entry.state.as_ref().map(|state| state.generation),
            "genesis": entry.genesis,
            "pending": entry.pending.as_ref().map(|pending| json!({
                "operation": pending.kind.as_str(),
                "transaction": pending.transaction,
                "expires": pending.expires_s,
            })),
        })
    };
    let rows: Vec<Value> = contents.dids.iter().map(row).collect();
    app.output.data(&Value::Array(rows), |text| {
        if contents.dids.is_empty() {
            text.line("No DID yet: `aval did create`.");
        }
        for entry in &contents.dids {
            text.title(&entry.did);
            text.field("state", state(entry));
            if let Some(state) = &entry.state {
                text.field("version", &state.version_id);
            }
            if let Some(pending) = &entry.pending {
                text.field(
                    "open",
                    &format!("{}, transaction {}", pending.kind.as_str(), pending.transaction),
                );
            }
        }
    })
}
