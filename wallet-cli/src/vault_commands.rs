//! `aval vault …`

use serde_json::json;

use crate::app::{App, now_s};
use crate::cli::VaultCommand;
use crate::error::WalletError;
use crate::output::date_time;
use crate::vault::{Contents, Entropy, Holder, KeyDerivation, Vault, VaultError};
use crate::{home, keys};

pub(crate) fn run(app: &App, command: VaultCommand) -> Result<(), WalletError> {
    match command {
        VaultCommand::Create { path, holder, words_file } => {
            let path = path.unwrap_or_else(|| app.vault_path());
            create(app, &path, holder.map(Holder::from), words_file.as_deref())
        }
        VaultCommand::Show => show(app),
    }
}

fn create(
    app: &App,
    path: &std::path::Path,
    holder: Option<Holder>,
    words_file: Option<&std::path::Path>,
) -> Result<(), WalletError> {
    if path.exists() {
        return Err(VaultError::Exists(path.to_owned()).into());
    }
    let passphrase = app.passphrase_source().obtain_new()?;
    passphrase.check_strength()?;
    let entropy = Entropy::generate()?;
    let words = keys::words(&entropy)?;
    // The words are out of danger before the vault exists: a vault whose words nobody has seen has no backup.
    if let Some(file) = words_file {
        home::write_secret(file, format!("{}\n", words.as_str()).as_bytes())?;
    }
    let contents = Contents::new(entropy, holder, now_s());
    Vault::create(path, &passphrase, KeyDerivation::STANDARD, &contents)?;
    let place = path.display().to_string();
    let mut value = json!({"vault": place});
    match words_file {
        Some(file) => value["wordsFile"] = json!(file.display().to_string()),
        None => value["words"] = json!(words.split(' ').collect::<Vec<_>>()),
    }
    app.output.data(&value, |text| {
        text.done(&format!("made the vault {place}"));
        match words_file {
            Some(file) => {
                text.line(&format!("The 24 words are in {}.", file.display()));
            }
            None => {
                let words: Vec<&str> = words.split(' ').collect();
                for (row, chunk) in words.chunks(4).enumerate() {
                    let cells: Vec<String> = chunk
                        .iter()
                        .enumerate()
                        .map(|(column, word)| format!("{:>2} {word:<10}", row * 4 + column + 1))
                        .collect();
                    text.line(format!("   {}", cells.join(" ")).trim_end());
                }
            }
        }
    })?;
    app.output.note(
        "Write the 24 words down and keep them apart from this machine: they bring back every key, and they are not \
         shown again.",
    );
    Ok(())
}

fn show(app: &App) -> Result<(), WalletError> {
    let vault = app.vault()?;
    let contents = vault.read()?;
    let pending = contents.dids.iter().filter(|did| did.pending.is_some()).count();
    let holder = contents.holder.map(|holder| match holder {
        Holder::Person => "person",
        Holder::Organization => "organization",
    });
    let created_ms = u64::try_from(contents.created_s).unwrap_or_default().saturating_mul(1000);
    let value = json!({
        "vault": vault.path().display().to_string(),
        "created": date_time(created_ms),
        "holder": holder,
        "credentials": contents.credentials.len(),
        "dids": contents.dids.len(),
        "transactions": contents.transactions.len(),
        "pending": pending,
    });
    app.output.data(&value, |text| {
        text.title(&vault.path().display().to_string());
        text.field("made", &date_time(created_ms));
        text.field("holder", holder.unwrap_or("not said"));
        text.field("credentials", &contents.credentials.len().to_string());
        text.field("DIDs", &contents.dids.len().to_string());
        text.field("transactions", &contents.transactions.len().to_string());
        if pending > 0 {
            text.field("pending", &format!("{pending}, see `aval did sync`"));
        }
    })
}
