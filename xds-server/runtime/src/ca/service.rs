//! Istio's certificate service over an [`Authority`].
//!
//! Who calls is proven by a token, or by the present certificate when there is none. What is signed are the
//! names that the Pod has NOW ([`Workloads`]): neither the CSR nor the old certificate names anybody.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use sluice_ads::Peer;
use sluice_identity::{
    WorkloadNames,
    csr::ProvenKey,
    server::CertificateService,
    wire::{IstioCertificateRequest, IstioCertificateResponse},
};
use tonic::{Request, Response, Status};

use super::{Authority, CaError};
use crate::tokens::{Authenticator, Caller};

/// Knows the Pods: what a proven caller is called, from its Pod object.
pub trait Workloads: Send + Sync + 'static {
    /// The names to sign for this caller; `PERMISSION_DENIED` if there is no such Pod of that service account.
    fn names(&self, caller: &Caller) -> Result<WorkloadNames, Status>;
}

/// Certifies the keys of proven callers.
pub struct Issuing {
    authority: Arc<Authority>,
    authenticator: Arc<dyn Authenticator>,
    workloads: Arc<dyn Workloads>,
}

impl Issuing {
    /// Signs with `authority` for those whom `authenticator` proves and `workloads` knows.
    pub fn new(
        authority: Arc<Authority>,
        authenticator: Arc<dyn Authenticator>,
        workloads: Arc<dyn Workloads>,
    ) -> Self {
        Self {
            authority,
            authenticator,
            workloads,
        }
    }

    async fn caller(
        &self,
        request: &Request<IstioCertificateRequest>,
    ) -> Result<(Caller, Proof), Status> {
        if let Some(token) = bearer(request)? {
            let caller = self.authenticator.authenticate(token).await?;
            return Ok((caller, Proof::Token));
        }
        let peer = request.extensions().get::<Peer>();
        let presented = peer.and_then(|peer| presented(peer, SystemTime::now()));
        presented.unwrap_or_else(|| {
            Err(Status::unauthenticated(
                "neither a bearer token nor a client certificate",
            ))
        })
    }
}

/// How a caller proved who it is.
enum Proof {
    Token,
    Certificate(WorkloadNames),
}

#[tonic::async_trait]
impl CertificateService for Issuing {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let (caller, proof) = self.caller(&request).await?;
        let names = self.workloads.names(&caller)?;
        refuse_successor(&caller, &proof, &names)?;

        let request = request.into_inner();
        refuse_extras(&request)?;
        let key = ProvenKey::from_request(&request.csr)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let lifetime = lifetime(request.validity_duration)?;
        let chain = self
            .authority
            .certify(&names, &key, lifetime, SystemTime::now())
            .map_err(|error| refusal(&error))?;

        tracing::info!(
            spiffe = %names.spiffe(),
            pod = caller.pod,
            class = names.class().map(tracing::field::display),
            proof = match proof {
                Proof::Token => "token",
                Proof::Certificate(_) => "certificate",
            },
            "issued a certificate"
        );
        Ok(Response::new(IstioCertificateResponse {
            cert_chain: chain.reply(&self.authority),
        }))
    }
}

/// The token, if there is one. A second header, or another scheme, is refused rather than passed over.
fn bearer(request: &Request<IstioCertificateRequest>) -> Result<Option<&str>, Status> {
    let mut values = request.metadata().get_all("authorization").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.strip_prefix("Bearer "))
        .filter(|_| values.next().is_none());
    token
        .map(Some)
        .ok_or_else(|| Status::unauthenticated("expected one header `authorization: Bearer TOKEN`"))
}

/// The caller that the TLS connection proved; none without a client certificate.
fn presented(peer: &Peer, now: SystemTime) -> Option<Result<(Caller, Proof), Status>> {
    let not_after = peer.not_after?;
    // It was valid in the handshake, which may be long ago.
    if now >= not_after {
        return Some(Err(Status::unauthenticated(
            "the client certificate has expired",
        )));
    }
    let uris = peer.uri_sans.iter().map(String::as_str);
    let dns_names = peer.dns_sans.iter().map(String::as_str);
    let names = match WorkloadNames::from_sans(uris, dns_names) {
        Ok(names) => names,
        Err(error) => return Some(Err(Status::unauthenticated(error.to_string()))),
    };
    let Some((namespace, pod)) = names.pod() else {
        return Some(Err(Status::unauthenticated(
            "the client certificate names no pod",
        )));
    };
    let caller = Caller {
        namespace: namespace.to_owned(),
        service_account: names.spiffe().service_account().to_owned(),
        pod: pod.to_owned(),
        uid: names.uid().map(str::to_owned),
    };
    Some(Ok((caller, Proof::Certificate(names))))
}

/// A Pod that was made again under the same name (a StatefulSet's) is another: its predecessor's
/// credential is worth nothing. The class may have changed, that is what renewal is for.
fn refuse_successor(caller: &Caller, proof: &Proof, names: &WorkloadNames) -> Result<(), Status> {
    let is_same_pod = match (&caller.uid, names.uid()) {
        (Some(bound), Some(uid)) => bound == uid,
        (Some(_), None) => false,
        (None, _) => true,
    };
    let is_same_workload = match proof {
        Proof::Token => true,
        Proof::Certificate(old) => old.spiffe() == names.spiffe() && old.pod() == names.pod(),
    };
    if is_same_pod && is_same_workload {
        return Ok(());
    }
    Err(Status::permission_denied(
        "the pod of this credential is gone",
    ))
}

/// What a request may ask of Istio's CA beyond a certificate for the caller itself is refused, not ignored.
fn refuse_extras(request: &IstioCertificateRequest) -> Result<(), Status> {
    let metadata = request.metadata.iter().flat_map(|extras| &extras.fields);
    for (name, _) in metadata {
        if matches!(name.as_str(), "ImpersonatedIdentity" | "CertSigner") {
            return Err(Status::permission_denied(format!(
                "{name} is not supported: a certificate names its caller and is signed by the mesh's CA"
            )));
        }
    }
    Ok(())
}

fn lifetime(seconds: i64) -> Result<Option<Duration>, Status> {
    match u64::try_from(seconds) {
        Ok(0) => Ok(None),
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
        Err(_) => Err(Status::invalid_argument("validity_duration is negative")),
    }
}

fn refusal(error: &CaError) -> Status {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "cannot issue a certificate"
    );
    Status::internal("the CA cannot sign at the moment")
}
