//! The management bean "High Availability" (HA specification 5): what JMX, and the web
//! server's JMX resource, say of an instance and of what it believes of the others.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use wavetank_vocabulary::{Date, HaRole, InstanceId, Monitored, TxId};

use crate::endpoint::web_address;
use crate::instance::Instance;

/// The attributes of the bean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HighAvailability {
    /// `InstanceId`: the server id.
    pub instance: InstanceId,
    /// `Available`: whether it serves, as master or as slave.
    pub available: bool,
    /// `Alive`: whether it takes part in the cluster; of itself it always believes so.
    pub alive: bool,
    /// `Role`.
    pub role: HaRole,
    /// `LastUpdateTime`: when it last asked a master for updates; none if it never did.
    pub last_update: Option<Date>,
    /// `LastCommittedTxId`.
    pub last_committed: TxId,
    /// `InstancesInCluster`: the members as this one sees them, itself among them.
    pub members: Vec<ClusterMember>,
}

/// One value of `InstancesInCluster`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterMember {
    /// `instanceId`.
    pub instance: InstanceId,
    /// `available`: it said that it serves, and did not fail since.
    pub available: bool,
    /// `alive`: the failure detector does not count it as failed.
    pub alive: bool,
    /// `haRole`: as what it said that it serves.
    pub role: HaRole,
}

impl ClusterMember {
    /// `uris`: where it can be reached: always its cluster address, and that of its data
    /// server while it serves.
    pub fn uris(&self) -> Vec<String> {
        let id = self.instance;
        let mut uris = Vec::from([alloc::format!("cluster://{id}:5001")]);
        if self.role != HaRole::Unknown {
            uris.push(alloc::format!("ha://{id}:6001?serverId={}", id.0));
        }
        uris
    }

    /// `roles`: the roles that it said it has.
    pub fn roles(&self) -> Option<&'static str> {
        (self.role != HaRole::Unknown).then(|| self.role.name())
    }
}

impl Instance {
    /// The bean as it is now; none before the instance has a store and takes part in the
    /// cluster, and none of an arbiter, which has no store.
    pub fn management_bean(&self) -> Option<HighAvailability> {
        let member = self.member.as_ref()?;
        let configuration = member.configuration();
        let me = configuration.me();
        let members = member.members().iter().map(|index| {
            let instance = configuration.id(index);
            let (alive, role) = match index == me {
                true => (true, HaRole::from(self.role())),
                false => (!member.has_failed(instance), member.serves_as(index)),
            };
            ClusterMember { instance, available: alive && role != HaRole::Unknown, alive, role }
        });
        let Monitored { available, role, last_committed } = self.monitored()?;
        Some(HighAvailability {
            instance: self.id(),
            available,
            alive: true,
            role,
            last_update: self.puller.asked_at_ms.map(Date::from_unix_ms),
            last_committed,
            members: members.collect(),
        })
    }

    /// Of the bean, what a monitoring system keeps: without the other members.
    pub fn monitored(&self) -> Option<Monitored> {
        self.member.as_ref().filter(|_| !self.config.arbiter)?;
        let role = HaRole::from(self.role());
        let last_committed = self.store().mark().tx;
        Some(Monitored { available: role != HaRole::Unknown, role, last_committed })
    }
}

impl HighAvailability {
    /// The answer of `/db/manage/server/jmx/domain/org.neo4j/…High+Availability`: a list with
    /// this one bean.
    pub fn to_json(&self) -> String {
        let text = |value: &str| alloc::format!("\"{value}\"");
        let id = text(&self.instance.0.to_string());
        let update = self.last_update.map_or_else(|| "N/A".into(), |date| date.to_string());
        let members: Vec<String> = self.members.iter().map(ClusterMember::to_json).collect();
        let list = alloc::format!("[{}]", members.join(","));
        let (string, members) = ("java.lang.String", "[Ljavax.management.openmbean.CompositeData;");
        let (available, alive) = (self.available.to_string(), self.alive.to_string());
        let (role, update) = (text(self.role.name()), text(&update));
        let last = self.last_committed.0.to_string();
        let attribute = Attribute::new;
        let attributes = [
            attribute("InstanceId", "The server id of this instance", string, &id),
            attribute("Available", "Whether this instance serves", "boolean", &available),
            attribute("Alive", "Whether this instance takes part", "boolean", &alive),
            attribute("Role", "The role of this instance", string, &role),
            attribute("LastUpdateTime", "When updates were last asked for", string, &update),
            attribute(
                "LastCommittedTxId",
                "The last transaction committed in this instance",
                "long",
                &last,
            ),
            attribute("InstancesInCluster", "The members as this one sees them", members, &list),
        ];
        let about = "The state of this instance in its cluster";
        bean(self.instance, "High Availability", about, &attributes)
    }
}

/// An attribute of a bean, with its value as JSON.
pub(crate) struct Attribute<'a> {
    name: &'a str,
    about: &'a str,
    kind: &'a str,
    value: &'a str,
}

impl<'a> Attribute<'a> {
    pub(crate) fn new(name: &'a str, about: &'a str, kind: &'a str, value: &'a str) -> Self {
        Attribute { name, about, kind, value }
    }
}

/// The answer of `/db/manage/server/jmx/domain/org.neo4j/…` for one bean: a list with it.
pub(crate) fn bean(
    instance: InstanceId,
    name: &str,
    about: &str,
    attributes: &[Attribute],
) -> String {
    let mut told = String::new();
    for Attribute { name, about, kind, value } in attributes {
        if !told.is_empty() {
            told.push(',');
        }
        // Writing to a string cannot fail. The spaces after `false` are Neo4j's.
        let _ = write!(
            told,
            "{{\"name\":\"{name}\",\"description\":\"{about}\",\"type\":\"{kind}\",\
             \"isReadable\":\"true\",\"isWriteable\":\"false \",\"isIs\":\"{}\",\"value\":{value}}}",
            if *kind == "boolean" { "true" } else { "false " }
        );
    }
    let host = web_address(instance);
    let path = name.replace(' ', "+");
    alloc::format!(
        "[{{\"name\":\"org.neo4j:instance=kernel#0,name={name}\",\
         \"url\":\"{host}/db/manage/server/jmx/domain/org.neo4j/instance%3Dkernel%230%2Cname%3D{path}\",\
         \"description\":\"{about}\",\
         \"attributes\":[{told}]}}]"
    )
}

impl ClusterMember {
    fn to_json(&self) -> String {
        let quoted = |values: &[String]| {
            let quoted: Vec<String> = values.iter().map(|v| alloc::format!("\"{v}\"")).collect();
            alloc::format!("[{}]", quoted.join(","))
        };
        let roles: Vec<String> = self.roles().into_iter().map(String::from).collect();
        let values = [
            ("alive", self.alive.to_string()),
            ("available", self.available.to_string()),
            ("haRole", alloc::format!("\"{}\"", self.role.name())),
            ("instanceId", alloc::format!("\"{}\"", self.instance.0)),
            ("roles", quoted(&roles)),
            ("uris", quoted(&self.uris())),
        ];
        let values: Vec<String> = values
            .iter()
            .map(|(name, value)| alloc::format!("{{\"name\":\"{name}\",\"value\":{value}}}"))
            .collect();
        alloc::format!("{{\"value\":[{}]}}", values.join(","))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    fn bean() -> HighAvailability {
        let member = |id, alive, role| ClusterMember {
            instance: InstanceId(id),
            available: alive && role != HaRole::Unknown,
            alive,
            role,
        };
        HighAvailability {
            instance: InstanceId(2),
            available: true,
            alive: true,
            role: HaRole::Slave,
            last_update: None,
            last_committed: TxId(17),
            members: Vec::from([
                member(1, true, HaRole::Master),
                member(2, true, HaRole::Slave),
                member(3, false, HaRole::Unknown),
            ]),
        }
    }

    #[test]
    fn the_text_has_the_shape_of_the_jmx_resource() {
        let text = bean().to_json();
        for part in [
            "[{\"name\":\"org.neo4j:instance=kernel#0,name=High Availability\"",
            "{\"name\":\"Available\",\"description\":\"Whether this instance serves\",\
             \"type\":\"boolean\",\"isReadable\":\"true\",\"isWriteable\":\"false \",\
             \"isIs\":\"true\",\"value\":true}",
            "\"name\":\"LastUpdateTime\"",
            "\"value\":\"N/A\"",
            "\"value\":17}",
            "{\"name\":\"haRole\",\"value\":\"master\"}",
            "{\"name\":\"uris\",\"value\":[\"cluster://i1:5001\",\"ha://i1:6001?serverId=1\"]}",
            "{\"name\":\"uris\",\"value\":[\"cluster://i3:5001\"]}",
            "{\"name\":\"roles\",\"value\":[]}",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        // Braces pair up, and nothing needs an escape.
        let count = |c| text.matches(c).count();
        assert_eq!(count('{'), count('}'));
        assert!(!text.contains('\\'));
    }

    #[test]
    fn a_date_is_printed_when_updates_were_asked_for() {
        let mut bean = bean();
        bean.last_update = Some(Date::from_unix_ms(wavetank_vocabulary::WALL_START_MS));
        assert!(bean.to_json().contains("\"value\":\"2015-10-21 00:00:00.000+0000\""));
    }
}
