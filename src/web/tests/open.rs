//! What opening makes of the answers to its first request.

use super::*;

async fn refused(site: &Site) -> WebError {
    WebObject::open(FILE.parse().unwrap(), site.options()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_web_page_is_no_file() {
    for no_ranges in [false, true] {
        let site = Site::new(0);
        site.with(|state| {
            state.no_ranges = no_ranges;
            state.content = format!("\n<!DOCTYPE html>{}", "x".repeat(5000)).into_bytes();
            state.headers.push(("content-type", "text/html; charset=utf-8".to_owned()));
        });
        assert!(matches!(refused(&site).await, WebError::Page { .. }));
        // Some servers know no better type.
        site.with(|state| state.content = b"QFI\xfb".repeat(1000));
        assert_eq!(site.open().await.length(), Some(4000));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_server_encodes_is_not_the_file() {
    let site = Site::new(5000);
    site.with(|state| state.headers.push(("content-encoding", "gzip".to_owned())));
    let error = refused(&site).await;
    assert!(matches!(&error, WebError::Encoded { encoding, .. } if encoding == "gzip"), "{error}");
    site.with(|state| state.headers[1].1 = "identity".to_owned());
    site.source().await;
}

#[tokio::test(start_paused = true)]
async fn refusals_say_what_may_help_and_are_not_repeated() {
    for (status, words) in [
        (401, "user and a password"),
        (403, "may have expired"),
        (404, "check the URL"),
        (410, "no longer"),
        (501, "another mirror"),
        (204, "no answer to a download"),
    ] {
        let site = Site::new(5000);
        site.fail([Fault::Status(status, None)]);
        let error = refused(&site).await.to_string();
        assert!(error.contains(words) && error.contains(&status.to_string()), "{error}");
        assert_eq!(site.with(|state| state.seen.len()), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_passes_is_waited_for() {
    let site = Site::new(5000);
    site.fail([
        Fault::Unreachable,
        Fault::Status(502, None),
        Fault::Status(429, Some(5)),
        Fault::Mute,
        Fault::Cut(500),
        Fault::Short(500),
    ]);
    assert_eq!(site.source().await.length(), 5000);
    assert_eq!(site.with(|state| state.seen.len()), 7);
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_and_a_short_one_are_files() {
    assert_eq!(Site::new(0).open().await.length(), Some(0));
    let site = Site::new(1);
    let source = site.source().await;
    assert_eq!(read(part(&source, ByteRange::new(0, 1))).await.0, site.content());
    for fault in [Fault::Shifted(1), Fault::Without("content-range")] {
        let site = Site::new(5000);
        site.fail([fault]);
        assert!(matches!(refused(&site).await, WebError::Contradiction { .. }), "{fault:?}");
    }
}

fn led(site: &Site, steps: &[(&str, &str)]) {
    site.with(|state| {
        for (from, to) in steps {
            state.elsewhere.insert((*from).to_owned(), (302, Some((*to).to_owned())));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn redirects_are_followed_without_the_login_of_another_host() {
    let site = Site::new(5000);
    led(
        &site,
        &[
            ("https://host.example/login", "/next?token=secret"),
            ("https://host.example/next?token=secret", "https://mirror.example/disk.raw"),
        ],
    );
    let url = "https://user:password@host.example/login#part".parse().unwrap();
    let source = WebObject::open(url, site.options()).await.unwrap().by_ranges().unwrap();
    read(part(&source, ByteRange::new(0, 5000))).await;
    site.with(|state| {
        let seen: Vec<_> = state
            .seen
            .iter()
            .map(|seen| (seen.url.as_str(), seen.header(header::AUTHORIZATION).is_some()))
            .collect();
        assert_eq!(
            seen,
            [
                ("https://host.example/login", true),
                ("https://host.example/next?token=secret", true),
                ("https://mirror.example/disk.raw", false),
                ("https://mirror.example/disk.raw", false),
            ]
        );
    });
    let identity = source.identity().unwrap();
    assert_eq!(identity.name(), "https://host.example/login");
    let text = serde_json::to_string(identity).unwrap();
    assert!(!text.contains("password") && text.contains("one"), "{text}");
    assert!(!format!("{source:?}").contains("password"));
}

#[tokio::test(start_paused = true)]
async fn redirects_that_lead_nowhere_end() {
    let long: Vec<(String, String)> = (0..12)
        .map(|step| {
            let from = if step == 0 { FILE.to_owned() } else { format!("https://host.example/{step}") };
            (from, format!("/{}", step + 1))
        })
        .collect();
    let long: Vec<(&str, &str)> = long.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    for (steps, words) in [
        (&[(FILE, "/b"), ("https://host.example/b", FILE)][..], "in a circle"),
        (&[(FILE, FILE)], "in a circle"),
        (&long, "redirect 11 in a row"),
        (
            &[(FILE, "http://host.example/disk.raw?key=secret")],
            "from https to `http://host.example/disk.raw?[redacted]`",
        ),
        (&[(FILE, "ftp://host.example/")], "`ftp:` address"),
    ] {
        let site = Site::new(5000);
        led(&site, steps);
        let error = chain(&refused(&site).await);
        assert!(error.contains(words) && !error.contains("secret"), "{error}");
    }
    let site = Site::new(5000);
    site.with(|state| state.elsewhere.insert(FILE.to_owned(), (301, None)));
    assert!(chain(&refused(&site).await).contains("no Location"));
}
