//! Answers that repeat what only the service may know.

use super::*;

const SECRET: &str = "the-secret-of-the-key-pair";
const TOKEN: &str = "CAISzgF1q6Ft5B2yfSjIr5fHAtLxi-a-long-token-0123456789";

fn with_token() -> World {
    World::with(MIB, |mut options| {
        let credentials = Credentials::new("STS.ID", SECRET).with_token(TOKEN);
        options.credentials = Arc::new(StaticCredentials::new(credentials));
        options
    })
}

/// Errors, what is said of retries, and so what is logged and shown as JSON.
#[tokio::test]
async fn a_token_or_a_signature_that_an_answer_repeats_is_shown_nowhere() {
    for status in [400, 403, 500, 200] {
        let world = with_token();
        // Not only the first: retries are reported too.
        world.script.rule("Initiate", 0, 3, Effect::Echo(status));
        world.script.refuse("Initiate", 9, 403, "AccessDenied");
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let sink = EventSink::new(move |event| heard.lock().unwrap().push(format!("{event:?}")));
        let error = world.upload().with_events(sink).run().await.unwrap_err();
        let mut text = format!("{error:?} {:?}", told.lock().unwrap());
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            text = format!("{text} {error}");
            cause = error.source();
        }
        assert!(!text.contains(TOKEN) && !text.contains(&TOKEN[..30]) && !text.contains(SECRET), "{text}");
        assert!(!text.contains("Signature=") && !text.contains("Credential="), "{text}");
        assert!(text.contains("[redacted]") || status == 200, "{text}");
    }
}
