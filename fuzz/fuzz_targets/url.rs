//! Any text as a URL, and as a link on a page: strict, and what is joined stays a URL.
#![no_main]

use dsops_transport::Url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(url) = Url::parse(text) {
        let again = Url::parse(&url.as_text()).expect("it was written by us");
        assert_eq!(again.as_text(), url.as_text());
        assert!(url.path().starts_with('/'));
    }
    let base = Url::parse("https://example.org/v2/app/tags?last=1").expect("it is a URL");
    if let Ok(joined) = base.join(text) {
        let again = Url::parse(&joined.as_text()).expect("it was written by us");
        assert_eq!(again.as_text(), joined.as_text());
        assert!(!joined.path().split('/').any(|part| part == "..") || text.contains("://") || text.starts_with("//"));
    }
});
