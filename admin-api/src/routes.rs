//! Paths of the admin API v1, and who may call each.
//!
//! Law: a route without a declared permission does not exist: the server builds its router from [`Route::ALL`].
//! Must not know: handlers.

use crate::identity::Role;

/// A set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Other members of the cluster.
    pub member: bool,
    /// The operator.
    pub operator: bool,
    /// A person's CLI.
    pub admin: bool,
    /// A program.
    pub client: bool,
}

impl Allowed {
    /// Whether `role` is in the set.
    pub fn admits(self, role: &Role) -> bool {
        match role {
            Role::Member(_) => self.member,
            Role::Operator => self.operator,
            Role::Admin => self.admin,
            Role::Client => self.client,
        }
    }

    /// The roles in the set, for people.
    pub fn names(self) -> String {
        let all =
            [("member", self.member), ("operator", self.operator), ("admin", self.admin), ("client", self.client)];
        all.iter().filter(|(_, may)| *may).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

const OPERATOR: Allowed = Allowed { member: false, operator: true, admin: false, client: false };
const WATCH: Allowed = Allowed { member: true, operator: true, admin: true, client: false };
const PEOPLE: Allowed = Allowed { member: false, operator: true, admin: true, client: false };
const DATA: Allowed = Allowed { member: false, operator: true, admin: true, client: true };

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Route {
    Member,
    Cluster,
    Found,
    Join,
    Leave,
    Peers,
    Begin,
    Freeze,
    Commit,
    Abort,
    Activate,
    Open,
    RequestStop,
    AnswerRequest,
    Jobs,
    SubmitJob,
    CancelJob,
    SuspendJob,
    ResumeJob,
    Sql,
    GetEntry,
    PutEntry,
    Backup,
    TakeBackup,
    InterruptBackup,
}

impl Route {
    /// Every route.
    pub const ALL: [Route; 25] = [
        Route::Member,
        Route::Cluster,
        Route::Found,
        Route::Join,
        Route::Leave,
        Route::Peers,
        Route::Begin,
        Route::Freeze,
        Route::Commit,
        Route::Abort,
        Route::Activate,
        Route::Open,
        Route::RequestStop,
        Route::AnswerRequest,
        Route::Jobs,
        Route::SubmitJob,
        Route::CancelJob,
        Route::SuspendJob,
        Route::ResumeJob,
        Route::Sql,
        Route::GetEntry,
        Route::PutEntry,
        Route::Backup,
        Route::TakeBackup,
        Route::InterruptBackup,
    ];

    /// Method and path pattern (axum 0.8 syntax).
    pub fn path(self) -> (&'static str, &'static str) {
        match self {
            Route::Member => ("GET", "/v1/member"),
            Route::Cluster => ("GET", "/v1/cluster"),
            Route::Found => ("POST", "/v1/found"),
            Route::Join => ("POST", "/v1/join"),
            Route::Leave => ("POST", "/v1/members/{ordinal}/leave"),
            Route::Peers => ("POST", "/v1/peers"),
            Route::Begin => ("POST", "/v1/operations"),
            Route::Freeze => ("POST", "/v1/operations/{id}/freeze"),
            Route::Commit => ("POST", "/v1/operations/{id}/commit"),
            Route::Abort => ("POST", "/v1/operations/{id}/abort"),
            Route::Activate => ("POST", "/v1/operations/{id}/activate"),
            Route::Open => ("POST", "/v1/operations/{id}/open"),
            Route::RequestStop => ("POST", "/v1/stop-requests"),
            Route::AnswerRequest => ("POST", "/v1/stop-requests/{asked}/answer"),
            Route::Jobs => ("GET", "/v1/jobs"),
            Route::SubmitJob => ("POST", "/v1/jobs"),
            Route::CancelJob => ("POST", "/v1/jobs/{name}/cancel"),
            Route::SuspendJob => ("POST", "/v1/jobs/{name}/suspend"),
            Route::ResumeJob => ("POST", "/v1/jobs/{name}/resume"),
            Route::Sql => ("POST", "/v1/sql"),
            Route::GetEntry => ("GET", "/v1/maps/{map}/entries/{key}"),
            Route::PutEntry => ("PUT", "/v1/maps/{map}/entries/{key}"),
            Route::Backup => ("GET", "/v1/backups"),
            Route::TakeBackup => ("POST", "/v1/backups"),
            Route::InterruptBackup => ("POST", "/v1/backups/interrupt"),
        }
    }

    /// Who may call it.
    pub fn allowed(self) -> Allowed {
        match self {
            Route::Member | Route::Cluster | Route::Jobs | Route::Backup => WATCH,
            Route::Found
            | Route::Join
            | Route::Peers
            | Route::Begin
            | Route::Freeze
            | Route::Commit
            | Route::Abort
            | Route::Activate
            | Route::Open
            | Route::AnswerRequest => OPERATOR,
            Route::RequestStop
            | Route::Leave
            | Route::SubmitJob
            | Route::CancelJob
            | Route::SuspendJob
            | Route::ResumeJob
            | Route::TakeBackup
            | Route::InterruptBackup => PEOPLE,
            Route::Sql | Route::GetEntry | Route::PutEntry => DATA,
        }
    }
}
