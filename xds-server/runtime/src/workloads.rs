//! What the CA signs for a Pod: the names that its object gives it now.

use sluice_identity::WorkloadNames;
use sluice_plan::identity::SpiffeId;
use sluice_resolve::{Catalog, class_of};
use tonic::{Code, Status};

use crate::{
    ca::service::Workloads,
    publish::{
        Publisher,
        admission::{Refused, pod},
    },
    tokens::Caller,
};

impl Workloads for Publisher {
    fn names(&self, caller: &Caller) -> Result<WorkloadNames, Status> {
        if !self.is_ready() {
            return Err(Status::unavailable("the configuration is not read yet"));
        }
        names(&self.catalog(), caller)
    }
}

fn names(catalog: &Catalog, caller: &Caller) -> Result<WorkloadNames, Status> {
    let Caller {
        namespace,
        service_account,
        pod: name,
        uid: _,
    } = caller;
    let pod = pod(catalog, namespace, name, service_account).map_err(denied)?;
    let trust_domain = &catalog.mesh().trust_domain;
    let spiffe = SpiffeId::new(trust_domain, namespace, service_account)
        .map_err(|error| Status::failed_precondition(error.to_string()))?;
    let class = class_of(catalog, pod);
    WorkloadNames::new(spiffe, class, Some(name), pod.meta.uid.as_deref())
        .map_err(|error| Status::failed_precondition(error.to_string()))
}

/// Whoever asks for a certificate learns that there is none for him, whatever the reason.
fn denied(refused: Refused) -> Status {
    Status::new(Code::PermissionDenied, refused.to_string())
}
