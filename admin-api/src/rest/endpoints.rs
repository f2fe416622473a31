//! Which path is what, and in which group.
//!
//! Law: paths match by their beginning, as in the original, so a slash or anything else may follow; what belongs to no
//! group does not exist and is not answered. Must not know: which groups are open.

/// What is opened or closed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Group {
    ClusterRead,
    ClusterWrite,
    HealthCheck,
    HotRestart,
}

impl Group {
    /// Every group that is offered.
    pub const ALL: [Group; 4] = [Group::ClusterRead, Group::ClusterWrite, Group::HealthCheck, Group::HotRestart];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Group::ClusterRead => "CLUSTER_READ",
            Group::ClusterWrite => "CLUSTER_WRITE",
            Group::HealthCheck => "HEALTH_CHECK",
            Group::HotRestart => "HOT_RESTART",
        }
    }

    /// Open when the REST is on and the group is not named.
    pub fn open_by_default(self) -> bool {
        matches!(self, Group::ClusterRead | Group::HealthCheck)
    }

    /// Its endpoints change something: the password counts.
    pub fn writes(self) -> bool {
        matches!(self, Group::ClusterWrite | Group::HotRestart)
    }
}

/// A method, as far as endpoints tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Get,
    Head,
    Post,
    Delete,
}

impl Verb {
    /// `PUT` is `POST`, as in the original; `None`: a method that is not answered at all.
    pub fn of(method: &str) -> Option<Self> {
        match method {
            "GET" => Some(Verb::Get),
            "HEAD" => Some(Verb::Head),
            "POST" | "PUT" => Some(Verb::Post),
            "DELETE" => Some(Verb::Delete),
            _ => None,
        }
    }
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Endpoint {
    Health,
    NodeState,
    ClusterState,
    ClusterSafe,
    MigrationQueueSize,
    ClusterSize,
    Ready,
    Members,
    Instance,
    License,
    State,
    Version,
    Nodes,
    /// Ours: the last operation, so that a caller can wait for the end of a shutdown.
    Operation,
    ChangeState,
    ChangeVersion,
    ClusterShutdown,
    MemberShutdown,
    ForceStart,
    /// Ours: the same, by who has seen what would be given up.
    ForceStartConsent,
    PartialStart,
    /// Ours: the same, by who has seen what would be missing.
    PartialStartConsent,
    HotBackupInterrupt,
    HotBackup,
}

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Method.
    pub verb: Verb,
    /// How the path begins.
    pub path: &'static str,
    /// What it is.
    pub endpoint: Endpoint,
    /// Where it belongs.
    pub group: Group,
    /// Parts of its form.
    pub parts: usize,
}

const HEALTH: &str = "/hazelcast/health";

const fn get(path: &'static str, endpoint: Endpoint, group: Group) -> Route {
    Route { verb: Verb::Get, path, endpoint, group, parts: 0 }
}

const fn post(path: &'static str, endpoint: Endpoint, group: Group, parts: usize) -> Route {
    Route { verb: Verb::Post, path, endpoint, group, parts }
}

use Endpoint as E;
use Group::{ClusterRead, ClusterWrite, HealthCheck, HotRestart};

/// Every endpoint. Of two paths one of which begins with the other, the longer stands first.
pub const ROUTES: [Route; 24] = [
    get("/hazelcast/health/node-state", E::NodeState, HealthCheck),
    get("/hazelcast/health/cluster-state", E::ClusterState, HealthCheck),
    get("/hazelcast/health/cluster-safe", E::ClusterSafe, HealthCheck),
    get("/hazelcast/health/migration-queue-size", E::MigrationQueueSize, HealthCheck),
    get("/hazelcast/health/cluster-size", E::ClusterSize, HealthCheck),
    get("/hazelcast/health/ready", E::Ready, HealthCheck),
    get(HEALTH, E::Health, HealthCheck),
    get("/hazelcast/rest/cluster", E::Members, ClusterRead),
    get("/hazelcast/rest/instance", E::Instance, ClusterRead),
    get("/hazelcast/rest/license", E::License, ClusterRead),
    post("/hazelcast/rest/management/cluster/state", E::State, ClusterRead, 2),
    get("/hazelcast/rest/management/cluster/version", E::Version, ClusterRead),
    post("/hazelcast/rest/management/cluster/version", E::ChangeVersion, ClusterWrite, 3),
    post("/hazelcast/rest/management/cluster/nodes", E::Nodes, ClusterRead, 2),
    post("/hazelcast/rest/management/cluster/operation", E::Operation, ClusterRead, 2),
    post("/hazelcast/rest/management/cluster/changeState", E::ChangeState, ClusterWrite, 3),
    post("/hazelcast/rest/management/cluster/clusterShutdown", E::ClusterShutdown, ClusterWrite, 2),
    post("/hazelcast/rest/management/cluster/memberShutdown", E::MemberShutdown, ClusterWrite, 2),
    post("/hazelcast/rest/management/cluster/forceStartConsent", E::ForceStartConsent, HotRestart, 3),
    post("/hazelcast/rest/management/cluster/forceStart", E::ForceStart, HotRestart, 2),
    post("/hazelcast/rest/management/cluster/partialStartConsent", E::PartialStartConsent, HotRestart, 3),
    post("/hazelcast/rest/management/cluster/partialStart", E::PartialStart, HotRestart, 2),
    post("/hazelcast/rest/management/cluster/hotBackupInterrupt", E::HotBackupInterrupt, HotRestart, 2),
    post("/hazelcast/rest/management/cluster/hotBackup", E::HotBackup, HotRestart, 2),
];

impl Endpoint {
    /// How it is asked for.
    pub fn route(self) -> Option<&'static Route> {
        ROUTES.iter().find(|route| route.endpoint == self)
    }
}

/// What a request line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Nothing that exists: the connection is closed without a word.
    Nothing,
    /// An endpoint; with `head`, only its headers are wanted.
    Endpoint(&'static Route, bool),
    /// A path of this group with a method that it has not.
    NotFound(Group),
    /// A health check that does not exist.
    NoSuchCheck,
}

impl Resolved {
    /// Where it belongs.
    pub fn group(self) -> Option<Group> {
        match self {
            Resolved::Nothing => None,
            Resolved::Endpoint(route, _) => Some(route.group),
            Resolved::NotFound(group) => Some(group),
            Resolved::NoSuchCheck => Some(HealthCheck),
        }
    }
}

/// `target` is the whole of it, query included.
pub fn resolve(verb: Verb, target: &str) -> Resolved {
    let mut of_path = ROUTES.iter().filter(|route| target.starts_with(route.path)).peekable();
    let Some(first) = of_path.peek().copied() else { return Resolved::Nothing };
    let asked = if verb == Verb::Head { Verb::Get } else { verb };
    let Some(route) = of_path.find(|route| route.verb == asked) else { return Resolved::NotFound(first.group) };
    let more_than_health = route.endpoint == E::Health && target != HEALTH;
    match verb {
        Verb::Head if more_than_health || !has_head(route.endpoint) => Resolved::NotFound(route.group),
        _ if more_than_health => Resolved::NoSuchCheck,
        _ => Resolved::Endpoint(route, verb == Verb::Head),
    }
}

fn has_head(endpoint: Endpoint) -> bool {
    matches!(endpoint, E::Health | E::Members | E::Instance | E::Version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "/hazelcast/rest/management/cluster";

    fn endpoint(verb: Verb, target: &str) -> Option<Endpoint> {
        match resolve(verb, target) {
            Resolved::Endpoint(route, _) => Some(route.endpoint),
            _ => None,
        }
    }

    #[test]
    fn paths_match_by_their_beginning_as_a_real_member_matches_them() {
        for (target, expected) in [
            ("/state", E::State),
            ("/state/", E::State),
            ("/stateXYZ", E::State),
            ("/version", E::ChangeVersion),
            ("/forceStart/", E::ForceStart),
            ("/forceStartConsent", E::ForceStartConsent),
            ("/partialStart", E::PartialStart),
            ("/partialStartConsent", E::PartialStartConsent),
            ("/hotBackup", E::HotBackup),
            ("/hotBackupInterrupt", E::HotBackupInterrupt),
        ] {
            assert_eq!(endpoint(Verb::Post, &format!("{AT}{target}")), Some(expected), "{target}");
        }
        assert_eq!(endpoint(Verb::Get, &format!("{AT}/version")), Some(E::Version));
        for ready in ["/hazelcast/health/ready", "/hazelcast/health/readyx", "/hazelcast/health/ready/"] {
            assert_eq!(endpoint(Verb::Get, ready), Some(E::Ready), "{ready}");
        }
    }

    #[test]
    fn what_a_real_member_closes_or_answers_with_400_and_404_is_told_apart() {
        for nothing in [AT, "/", "/hazelcast/rest/api/v1/x", "/hazelcast/rest/maps/m/k", &format!("{AT}/nope")] {
            assert_eq!(resolve(Verb::Get, nothing), Resolved::Nothing, "{nothing}");
        }
        for check in ["/", "x", "?x=1", "/nope"] {
            assert_eq!(resolve(Verb::Get, &format!("{HEALTH}{check}")), Resolved::NoSuchCheck, "{check}");
        }
        for (verb, target, group) in [
            (Verb::Head, format!("{HEALTH}/node-state"), HealthCheck),
            (Verb::Head, format!("{AT}/state"), ClusterRead),
            (Verb::Delete, format!("{AT}/changeState"), ClusterWrite),
            (Verb::Post, HEALTH.to_owned(), HealthCheck),
        ] {
            assert_eq!(resolve(verb, &target), Resolved::NotFound(group), "{verb:?} {target}");
        }
        assert!(matches!(resolve(Verb::Head, HEALTH), Resolved::Endpoint(_, true)));
        assert_eq!([Verb::of("PUT"), Verb::of("PATCH"), Verb::of("OPTIONS")], [Some(Verb::Post), None, None]);
    }

    #[test]
    fn a_version_is_read_by_everybody_and_changed_by_few() {
        let group = |verb| resolve(verb, &format!("{AT}/version")).group();
        assert_eq!((group(Verb::Get), group(Verb::Post)), (Some(ClusterRead), Some(ClusterWrite)));
    }

    #[test]
    fn every_endpoint_has_one_route_and_none_hides_another() {
        for route in &ROUTES {
            let target = if route.endpoint == E::Health { HEALTH } else { route.path };
            assert_eq!(endpoint(route.verb, target), Some(route.endpoint));
        }
    }
}
