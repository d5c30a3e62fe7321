//! The control plane's own certificate: signed by its own authority, replaced at half life.
//!
//! New handshakes take the new one from an [`ArcSwap`]; connections that stand keep theirs.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sluice_identity::certificate::Validity;
use sluice_plan::identity::SpiffeId;
use tokio_util::sync::CancellationToken;

use super::{Authority, CaError, MAX_LIFETIME};

/// The wall clock is read again this often: a suspended machine's timers stand still, its certificates do not.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// The certificate that the mTLS port shows.
#[derive(Debug)]
pub struct ServingCertificate {
    authority: Arc<Authority>,
    spiffe: SpiffeId,
    dns_names: Vec<String>,
    lifetime: Duration,
    current: ArcSwap<CertifiedKey>,
    renew_at: ArcSwap<SystemTime>,
}

impl ServingCertificate {
    /// Signs the first one; `dns_names` are what clients may check, such as `sluice.sluice-system.svc`.
    pub fn new(
        authority: Arc<Authority>,
        spiffe: SpiffeId,
        dns_names: Vec<String>,
        now: SystemTime,
    ) -> Result<Arc<Self>, CaError> {
        Self::with_lifetime(authority, spiffe, dns_names, MAX_LIFETIME, now)
    }

    /// As [`new`](Self::new), for certificates that live shorter than a day.
    pub fn with_lifetime(
        authority: Arc<Authority>,
        spiffe: SpiffeId,
        dns_names: Vec<String>,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Arc<Self>, CaError> {
        let (key, validity) = authority.server_key(&spiffe, &dns_names, lifetime, now)?;
        Ok(Arc::new(Self {
            authority,
            spiffe,
            dns_names,
            lifetime,
            current: ArcSwap::from_pointee(key),
            renew_at: ArcSwap::from_pointee(validity.half_life(now)),
        }))
    }

    /// Replaces the certificate, and its key, for the handshakes to come.
    pub fn renew(&self, now: SystemTime) -> Result<Validity, CaError> {
        let (key, validity) =
            self.authority
                .server_key(&self.spiffe, &self.dns_names, self.lifetime, now)?;
        self.current.store(Arc::new(key));
        self.renew_at.store(Arc::new(validity.half_life(now)));
        Ok(validity)
    }

    /// Renews at half life, until cancelled. A failure is logged and tried again; the old certificate stays.
    pub async fn keep_renewed(self: Arc<Self>, stop: CancellationToken) {
        let mut pause = Duration::ZERO;
        while stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            let now = SystemTime::now();
            if let Ok(left) = self.renew_at.load().duration_since(now)
                && !left.is_zero()
            {
                pause = left.min(CLOCK_CHECK);
                continue;
            }
            pause = match self.renew(now) {
                Ok(_) => {
                    tracing::info!("renewed the control plane's certificate");
                    Duration::ZERO
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot renew the control plane's certificate"
                    );
                    CLOCK_CHECK
                }
            };
        }
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}
