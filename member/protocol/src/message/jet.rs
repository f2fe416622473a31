//! Jobs: the requests that carry no code of a client.
//!
//! Must not know: what a job is.

use uuid::Uuid;

use crate::fields::Text;
use crate::structure::JobSummary;

messages! { "jet":
    /// A job ends, is suspended or begins anew.
    TerminateJob terminate_job = 0xfe0200:
        ([job: i64, mode: i32] () + [light_job_coordinator: Option<Uuid>] ()) => ([] ());
    /// What a job does.
    GetJobStatus get_job_status = 0xfe0300: ([job: i64] ()) => ([status: i32] ());
    /// Answered when a job ends.
    JoinSubmittedJob join_submitted_job = 0xfe0500:
        ([job: i64] () + [light_job_coordinator: Option<Uuid>] ()) => ([] ());
    /// Since when a job is here.
    GetJobSubmissionTime get_job_submission_time = 0xfe0700:
        ([job: i64] () + [light_job_coordinator: Option<Uuid>] ()) => ([time: i64] ());
    /// A suspended job goes on.
    ResumeJob resume_job = 0xfe0900: ([job: i64] ()) => ([] ());
    /// A job's state is kept under a name.
    ExportSnapshot export_snapshot = 0xfe0a00: ([job: i64, cancel: bool] (name: Text)) => ([] ());
    /// Whether an object is there.
    ExistsDistributedObject exists_distributed_object = 0xfe0c00:
        ([] (service: Text, name: Text)) => ([exists: bool] ());
    /// All jobs and queries.
    GetJobAndSqlSummaryList get_job_and_sql_summary_list = 0xfe0f00: ([] ()) => ([] (jobs: Vec<JobSummary>));
    /// Whether a user ended a job.
    IsJobUserCancelled is_job_user_cancelled = 0xfe1000: ([job: i64] ()) => ([cancelled: bool] ());
    /// To be told of a job's status.
    AddJobStatusListener add_job_status_listener = 0xfe1300:
        ([job: i64, light_job_coordinator: Option<Uuid>, local_only: bool] ()) => ([registration: Option<Uuid>] ()),
        JobStatus = 0xfe1302:
            ([job: i64, former: i32, status: i32, user_requested: bool] (description: Option<Text>));
    /// Not to be told any more.
    RemoveJobStatusListener remove_job_status_listener = 0xfe1400:
        ([job: i64, registration: Uuid] ()) => ([removed: bool] ());
}
