//! `aval network …`

use aval_client::{CheckpointStore, FileCheckpoints, TrustedGenesis};
use aval_codec::Hash;
use serde_json::{Value, json};

use super::{Profile, Profiles, load_genesis};
use crate::app::App;
use crate::cli::NetworkCommand;
use crate::error::WalletError;
use crate::home;
use crate::output::date_time;

pub(crate) fn run(app: &App, command: NetworkCommand) -> Result<(), WalletError> {
    let profiles = Profiles::new(&app.home);
    match command {
        NetworkCommand::Add { name, expect } => add(app, &profiles, name, expect),
        NetworkCommand::List => list(app, &profiles),
        NetworkCommand::Show { name } => show(app, &profiles, name.as_deref()),
        NetworkCommand::Use { name } => {
            profiles.make_default(&name)?;
            app.output.data(&json!({"default": name}), |text| {
                text.done(&format!("{name} is the default network now"));
            })
        }
        NetworkCommand::Genesis { out } => {
            let genesis = app.connection()?.genesis()?.clone();
            match out {
                Some(path) => home::write_output(&path, genesis.bytes()),
                None => app.output.raw(genesis.bytes()),
            }
        }
    }
}

fn add(
    app: &App,
    profiles: &Profiles<'_>,
    name: Option<String>,
    expect: Option<String>,
) -> Result<(), WalletError> {
    let (Some(path), Some(node)) = (&app.global.genesis, &app.global.node) else {
        return Err(WalletError::Usage("a network needs --genesis FILE and --node URL".to_owned()));
    };
    let genesis = load_genesis(path)?;
    if let Some(expect) = expect {
        check_expected(&genesis, &expect)?;
    }
    let name = name.unwrap_or_else(|| genesis.network().label().to_owned());
    // The address is checked now, so that a typing error does not wait for the first use.
    aval_client::NodeClient::new(
        node,
        &aval_client::ClientOptions { allow_http: app.global.allow_http, ..Default::default() },
    )?;
    let profile = profiles.add(&name, node, &genesis)?;
    app.output.data(&to_json(&profile, &genesis), |text| {
        text.done(&format!("network {} is trusted from its genesis on", profile.name));
        text.field("network", &genesis.network().to_string());
        text.field("genesis hash", &profile.genesis.to_string());
        text.field("node", &profile.node);
    })?;
    app.output.note(
        "Compare the genesis hash with one you got on another way (it is what `sha256sum genesis.json` shows): \
         everything this wallet believes stands on it.",
    );
    Ok(())
}

fn check_expected(genesis: &TrustedGenesis, expect: &str) -> Result<(), WalletError> {
    let expected: Hash =
        expect.trim().to_lowercase().parse().map_err(|_| {
            WalletError::Usage("--expect wants a SHA-256 of 64 hexadecimal digits".to_owned())
        })?;
    if expected == genesis.hash() {
        return Ok(());
    }
    Err(WalletError::Invalid {
        code: "genesis.hash",
        message: format!("the genesis file has the hash {}, and not the one expected", genesis.hash()),
    })
}

fn to_json(profile: &Profile, genesis: &TrustedGenesis) -> Value {
    json!({
        "name": profile.name,
        "node": profile.node,
        "network": genesis.network().to_string(),
        "genesis": profile.genesis.to_string(),
    })
}

fn list(app: &App, profiles: &Profiles<'_>) -> Result<(), WalletError> {
    let all = profiles.all()?;
    let default = profiles.default_name()?;
    let is_default = |profile: &Profile| default.as_deref() == Some(profile.name.as_str());
    let rows: Vec<Value> = all
        .iter()
        .map(|profile| {
            json!({
                "name": profile.name,
                "node": profile.node,
                "genesis": profile.genesis.to_string(),
                "default": is_default(profile),
            })
        })
        .collect();
    app.output.data(&Value::Array(rows), |text| {
        for profile in &all {
            let mark = if is_default(profile) { " (default)" } else { "" };
            text.title(&format!("{}{mark}", profile.name));
            text.field("node", &profile.node);
            text.field("genesis hash", &profile.genesis.to_string());
        }
        if all.is_empty() {
            text.line("No network yet: `aval network add --genesis FILE --node URL`.");
        }
    })
}

fn show(app: &App, profiles: &Profiles<'_>, name: Option<&str>) -> Result<(), WalletError> {
    let named = name.or(app.global.network.as_deref());
    let profile = profiles.select(named)?.ok_or_else(|| {
        WalletError::NotFound("no network yet: `aval network add --genesis FILE --node URL`".to_owned())
    })?;
    let genesis = profiles.genesis(&profile)?;
    let checkpoint = FileCheckpoints::new(app.home.checkpoint(profile.genesis)).load()?;
    let mut value = to_json(&profile, &genesis);
    let changes = checkpoint.as_ref().map(|checkpoint| checkpoint.changes.as_slice()).unwrap_or_default();
    let validators =
        changes.last().map_or(genesis.anchor().validators(), |change| &change.validators).count();
    value["validators"] = json!(validators);
    value["validatorChanges"] = json!(changes.len());
    value["checkpoint"] = match &checkpoint {
        Some(checkpoint) => json!({
            "height": checkpoint.header.height,
            "time": date_time(checkpoint.header.time_ms),
            "digest": checkpoint.header.digest().to_string(),
        }),
        None => Value::Null,
    };
    app.output.data(&value, |text| {
        text.title(&profile.name);
        text.field("network", &genesis.network().to_string());
        text.field("genesis hash", &profile.genesis.to_string());
        text.field("node", &profile.node);
        text.field("validators", &validators.to_string());
        match &checkpoint {
            Some(checkpoint) => {
                let header = &checkpoint.header;
                text.field(
                    "newest seen",
                    &format!("block {} of {}", header.height, date_time(header.time_ms)),
                );
            }
            None => {
                text.field("newest seen", "nothing verified yet");
            }
        }
    })
}
