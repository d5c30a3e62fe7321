//! SPIFFE names, certificates' contents and Istio's certificate service.
