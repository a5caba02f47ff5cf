//! Operators, added and removed by whoever has the home folder: on the records themselves, so that the first operator
//! needs no other. Tokens are shown once; the records keep a hash.

use crate::clock::now_s;
use crate::fault::Fault;
use crate::storage::{Entry, OperatorRow, Records, Role};
use aval_codec::b64u;
use rand::RngExt as _;
use serde_json::{Value, json};
use std::path::Path;
use uuid::Uuid;

/// The longest name of an operator.
const NAME_LENGTH_MAX: usize = 64;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Add one; the answer holds the token.
    Add {
        /// The name, as the audit log shows it.
        name: String,
        /// What they may do.
        role: Role,
    },
    /// List all.
    List,
    /// Remove one: the token opens nothing any more.
    Remove {
        /// The name.
        name: String,
    },
}

/// Does it on the records of a service, whose operators have one of these roles, and prints what there is to say.
pub fn run(database: Option<&str>, file: &Path, roles: &[Role], change: Change) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::failed(format!("the program cannot start: {error}")))?;
    let said = runtime.block_on(async {
        let records = Records::open_any(database, file).await?;
        let done = apply(&records, roles, change).await;
        records.close().await;
        done
    })?;
    if !said.is_null() {
        println!("{said:#}");
    }
    Ok(())
}

async fn apply(records: &Records, roles: &[Role], change: Change) -> Result<Value, Fault> {
    match change {
        Change::Add { name, role } => {
            if !roles.contains(&role) {
                let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
                return Err(Fault::usage(format!("the roles of this service are {}", names.join(", "))));
            }
            if name.is_empty() || name.len() > NAME_LENGTH_MAX || name.chars().any(char::is_control) {
                return Err(Fault::usage(format!("a name has 1 to {NAME_LENGTH_MAX} visible characters")));
            }
            let bytes: [u8; 32] = rand::rng().random();
            let token = b64u::encode(bytes);
            let row = OperatorRow { id: Uuid::new_v4().to_string(), name, role, created_s: now_s() };
            let entry = Entry::of("command", "operator.created", &row.name, row.created_s);
            if !records.add_operator(&row, &token, &entry).await? {
                return Err(Fault::failed(format!("there is an operator {}: remove them first", row.name)));
            }
            Ok(json!({ "name": row.name, "role": row.role, "token": token }))
        }
        Change::List => {
            let rows = records.operators().await?;
            let shown = rows
                .iter()
                .map(|row| json!({ "name": row.name, "role": row.role, "createdS": row.created_s }));
            Ok(shown.collect())
        }
        Change::Remove { name } => {
            let entry = Entry::of("command", "operator.removed", &name, now_s());
            match records.remove_operator(&name, &entry).await? {
                true => Ok(Value::Null),
                false => Err(Fault::not_found(format!("there is no operator {name}"))),
            }
        }
    }
}
