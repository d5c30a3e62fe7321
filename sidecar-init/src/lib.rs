//! Installs the redirect and guard of a pod.
