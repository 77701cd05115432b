//! HTTP over TLS, with one policy for retries, redirects, proxies, deadlines and sizes.
