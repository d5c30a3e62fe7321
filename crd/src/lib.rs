//! The objects as users write them: Istio's kinds, Kubernetes' and Sluice's own.
