//! Grants and accreditations: what stands, what it is worth, and who pays with it.

use aval_did::Did;
use aval_types::action::{AccreditationGrant, SchemaPublish};
use aval_types::{AccreditationKind, Action, GrantId, Purpose, SchemaHash, SubmittedTransaction, limits};

use super::decide::must;
use super::{Model, ModelAccreditation, No};

impl Model {
    pub(super) fn entry(&self, list: &str, index: u64) -> u8 {
        self.entries.get(&(list.to_owned(), index)).copied().unwrap_or(0)
    }

    /// Whether a grant gives a role now (specs/rules.md, section 5).
    fn gives(&self, id: &GrantId, role: &str) -> bool {
        let Some(grant) = self.grants.get(id) else { return false };
        let registry = self.registries.get(&grant.status.registry);
        grant.has_role(role)
            && registry.is_some_and(|registry| registry.lists.contains(&grant.status.list))
            && self.entry(&grant.status.list, grant.status.index) == 0
            && self.time_ms < grant.expires * 1000
            && self.is_accredited(
                &grant.issuer,
                AccreditationKind::Issuer,
                Some(&grant.credential_type),
                &[role],
            )
    }

    /// Whether a DID has a live grant with a role.
    pub(super) fn has_role(&self, did: &Did, role: &str) -> bool {
        self.dids.get(did).is_some_and(|record| record.grants.iter().any(|id| self.gives(id, role)))
    }

    /// Whether a DID has a grant with a role, live or not.
    pub(super) fn ever_had_role(&self, did: &Did, role: &str) -> bool {
        let holds = |id: &GrantId| self.grants.get(id).is_some_and(|grant| grant.has_role(role));
        self.dids.get(did).is_some_and(|record| record.grants.iter().any(holds))
    }

    /// The roles that a grant gives now.
    fn live_roles(&self, id: &GrantId) -> Vec<String> {
        let roles = self.grants.get(id).map(|grant| grant.roles.clone()).unwrap_or_default();
        roles.into_iter().filter(|role| self.gives(id, role)).collect()
    }

    /// The roles that a DID has now.
    pub(super) fn roles(&self, did: &Did) -> Vec<String> {
        let grants = self.dids.get(did).map_or(&[][..], |record| &record.grants);
        grants.iter().flat_map(|id| self.live_roles(id)).collect()
    }

    /// Whether a grant would stay on the record if room were made there.
    pub(super) fn takes_room(&self, id: &GrantId) -> bool {
        let Some(grant) = self.grants.get(id) else { return false };
        let registry = self.registries.get(&grant.status.registry);
        let is_revoked = self.entry(&grant.status.list, grant.status.index) != 0
            && registry.is_some_and(|registry| registry.purpose == Purpose::Revocation);
        self.time_ms < grant.expires * 1000 && !is_revoked
    }

    /// The grant that pays for a transaction (specs/rules.md, section 12); an error if none of those that
    /// could has room.
    pub(super) fn payment(&self, submitted: &SubmittedTransaction) -> Result<Option<GrantId>, No> {
        let payload = submitted.transaction.payload();
        let endorser = payload.endorser().map(|kid| kid.did().clone());
        let role = match &payload.action {
            Action::DidCreate(_) | Action::DidUpdate(_) if endorser.is_some() => "endorser",
            Action::DidUpdate(_) | Action::AnchorCreate(_) | Action::ServiceRegister(_) => "member",
            Action::SupervisionHold(_)
            | Action::SupervisionRelease(_)
            | Action::SupervisionDeny(_)
            | Action::SupervisionAllow(_) => "supervisor",
            Action::NodeRegister(register) => register.kind.role(),
            _ => return Ok(None),
        };
        let own = payload.sender().or_else(|| payload.controllers().next()).map(|kid| kid.did().clone());
        let payer = endorser.or(own).ok_or("nobody pays")?;
        let scoped = format!("{role}-");
        let fits = |own: &String| own == role || own.starts_with(&scoped);
        let held = self.dids.get(&payer).map_or(&[][..], |record| &record.grants);
        let live: Vec<GrantId> = held.iter().filter(|id| !self.live_roles(id).is_empty()).copied().collect();
        let of_role: Vec<GrantId> =
            live.iter().filter(|id| self.live_roles(id).iter().any(fits)).copied().collect();
        let able = if of_role.is_empty() { live } else { of_role };
        if able.is_empty() {
            return Ok(None);
        }
        able.into_iter().find(|id| self.has_room(id)).map(Some).ok_or("the quota is used up")
    }

    fn has_room(&self, id: &GrantId) -> bool {
        let quota = &self.parameters.quota;
        let limit = u64::from(quota.limit(&self.grants[id].credential_type));
        let (window, gone) = (self.time_ms / quota.window_ms, self.time_ms % quota.window_ms);
        let used = |window: u64| self.uses.get(&(*id, window)).copied().unwrap_or(0);
        used(window - 1) * (quota.window_ms - gone) + (used(window) + 1) * quota.window_ms
            <= limit * quota.window_ms
    }

    pub(super) fn charge(&mut self, id: GrantId) {
        *self.uses.entry((id, self.time_ms / self.parameters.quota.window_ms)).or_default() += 1;
    }

    /// A DID and those above it, up to its root; whether or not anything there stands.
    pub(super) fn line(&self, did: &Did) -> Vec<Did> {
        let mut line = vec![did.clone()];
        while let Some(parent) =
            line.last().and_then(|last| self.accreditations.get(last)).and_then(|one| one.parent.clone())
            && line.len() < 8
        {
            line.push(parent);
        }
        line
    }

    pub(super) fn is_above(&self, who: &Did, below: &Did) -> bool {
        self.line(below).iter().take(4).skip(1).any(|did| did == who)
    }

    /// Whether a DID is a live issuer, or a live root or body (asked for as `Body`), for a type and roles.
    pub(super) fn is_accredited(
        &self,
        did: &Did,
        kind: AccreditationKind,
        credential_type: Option<&str>,
        roles: &[&str],
    ) -> bool {
        let line = self.line(did);
        let records: Vec<&ModelAccreditation> =
            line.iter().filter_map(|did| self.accreditations.get(did)).collect();
        let Some(own) = records.first() else { return false };
        let is_kind = match kind {
            AccreditationKind::Issuer => own.kind == AccreditationKind::Issuer,
            _ => own.kind.accredits(),
        };
        let covers = |record: &&ModelAccreditation| {
            let Some(name) = credential_type else { return true };
            let of_type = record.types.iter().find(|one| one.credential_type == name);
            of_type.is_some_and(|one| roles.iter().all(|role| one.has_role(role)))
        };
        is_kind
            && records.len() == line.len()
            && records.len() <= 4
            && records.last().is_some_and(|last| last.kind == AccreditationKind::Root)
            && records.iter().all(|record| !record.revoked && self.time_ms < record.expires)
            && records.iter().skip(1).all(|record| record.kind.accredits())
            && records.windows(2).all(|pair| pair[1].depth > pair[0].depth)
            && records.iter().all(covers)
    }

    /// specs/trust.md, section 3.
    pub(super) fn may_accredit(&self, sender: &Did, grant: &AccreditationGrant) -> Result<(), No> {
        must(self.is_accredited(sender, AccreditationKind::Body, None, &[]), "it accredits nobody")?;
        must(grant.subject != *sender, "it accredits itself")?;
        self.did(&grant.subject)?;
        let line = self.line(sender);
        for above in line.iter().filter_map(|did| self.accreditations.get(did)) {
            for wanted in &grant.types {
                let of_type = above.types.iter().find(|own| own.credential_type == wanted.credential_type);
                let own = of_type.ok_or("it gives a type that it has not")?;
                must(wanted.roles.iter().all(|role| own.has_role(role)), "it gives a role that it has not")?;
                must(wanted.level <= own.level, "it gives a level that it has not")?;
            }
            must(grant.expires <= above.expires, "it gives more time than it has")?;
        }
        must(grant.depth < self.accreditations[sender].depth && line.len() < 4, "it is too deep")?;
        must(self.time_ms < grant.expires, "it has expired")?;
        let Some(existing) = self.accreditations.get(&grant.subject) else {
            return must(grant.previous == 0, "it follows a version that is not there");
        };
        must(existing.kind != AccreditationKind::Root, "the subject is a root")?;
        must(existing.version == grant.previous, "it follows another version")?;
        if existing.revoked {
            let by = existing.revoked_by.as_ref().ok_or("governance took it back")?;
            let free = *by == grant.subject || by == sender || self.is_above(sender, by);
            return must(free, "one above took it back");
        }
        let is_live = [AccreditationKind::Body, AccreditationKind::Issuer]
            .iter()
            .any(|kind| self.is_accredited(&grant.subject, *kind, None, &[]));
        must(existing.parent.as_ref() == Some(sender) || !is_live, "it stands below another")
    }

    pub(super) fn may_disaccredit(&self, sender: &Did, subject: &Did) -> Result<(), No> {
        let record = self.accreditations.get(subject).ok_or("there is no accreditation")?;
        must(record.kind != AccreditationKind::Root, "the subject is a root")?;
        if sender != subject {
            must(self.is_above(sender, subject), "it does not stand above")?;
            must(self.is_accredited(sender, AccreditationKind::Body, None, &[]), "it accredits nobody")?;
        }
        must(!record.revoked, "it is revoked already")
    }

    pub(super) fn may_publish(&self, sender: &Did, publish: &SchemaPublish) -> Result<(), No> {
        let name = Some(publish.credential_type.as_str());
        must(self.is_accredited(sender, AccreditationKind::Body, name, &[]), "it has no say about the type")?;
        must(aval_credential::Schema::compile(&publish.schema).is_ok(), "it is no schema")?;
        must(!self.schemas.contains_key(&SchemaHash::of(&publish.schema)), "the schema exists")?;
        let own = |one: &&super::ModelSchema| {
            !one.deprecated && one.publisher == *sender && one.credential_type == publish.credential_type
        };
        must(self.schemas.values().filter(own).count() < limits::SCHEMAS_IN_FORCE_MAX, "too many in force")
    }

    pub(super) fn may_deprecate(&self, sender: &Did, hash: &SchemaHash) -> Result<(), No> {
        let schema = self.schemas.get(hash).ok_or("there is no such schema")?;
        let speaks = schema.publisher == *sender || self.is_above(sender, &schema.publisher);
        must(speaks, "it has no say about the schema")?;
        must(self.is_accredited(sender, AccreditationKind::Body, None, &[]), "it accredits nobody")?;
        must(!schema.deprecated, "it is deprecated already")
    }
}
