//! Points of parts that are copied.

use http::Method;

use super::lab::{Lab, etag};
use super::{Found, Point};

/// Length of the source in bytes: three parts.
const LENGTH: usize = 307_200;
/// Where the second part begins.
const SECOND: usize = 102_400;

pub(super) const POINTS: &[Point] = &[
    Point {
        id: "copy-open-range",
        question: "An UploadPartCopy of `bytes=102400-` of 307200 bytes.",
        settle: |lab| Box::pin(open_range(lab)),
    },
    Point {
        id: "copy-range-beyond",
        question: "An UploadPartCopy of `bytes=0-999999999` of 307200 bytes.",
        settle: |lab| Box::pin(beyond(lab)),
    },
    Point {
        id: "copy-crc",
        question: "Whether ListParts has the CRC-64 of a part that was copied, and HEAD that of its object.",
        settle: |lab| Box::pin(crc(lab)),
    },
    Point {
        id: "copy-unmodified",
        question: "An UploadPartCopy with x-oss-copy-source-if-none-match of the source's own ETag.",
        settle: |lab| Box::pin(unmodified(lab)),
    },
    Point {
        id: "copy-if-match-spelling",
        question: "An UploadPartCopy with x-oss-copy-source-if-match, with quotes and without.",
        settle: |lab| Box::pin(if_match(lab)),
    },
    Point {
        id: "copy-appendable",
        question: "An UploadPartCopy from an object that was made by AppendObject.",
        settle: |lab| Box::pin(appendable(lab)),
    },
];

const NOT_OPENED: &str = "no upload could be opened, or no source made";

/// Makes the source and opens an upload; returns its id and the source's tag.
async fn begun(lab: &Lab, key: &str) -> Result<(String, String), Found> {
    let source = lab.put("copied", (0..LENGTH).map(|at| (at % 251) as u8).collect::<Vec<_>>()).await;
    if !source.is_ok() {
        return Err(Found::open(source.shown(), NOT_OPENED));
    }
    let upload = lab.open(key, &[]).await.map_err(|seen| Found::open(seen.shown(), NOT_OPENED))?;
    Ok((upload, etag(&source)))
}

async fn ranged(lab: &Lab, key: &str, range: &str) -> Result<(String, Vec<String>), Found> {
    let (upload, _) = begun(lab, key).await?;
    let seen = lab.copy(key, &upload, "copied", &[("x-oss-copy-source-range", range)]).await;
    let sizes = lab.parts(key, &upload).await.elements("Size");
    let told = seen.header("content-range").unwrap_or("none").to_owned();
    Ok((format!("{}, Content-Range {told}, part of {} bytes", seen.shown(), sizes.join(" ")), sizes))
}

async fn open_range(lab: &Lab) -> Found {
    match ranged(lab, "open-range", &format!("bytes={SECOND}-")).await {
        Err(found) => found,
        Ok((came, sizes)) => Found::either(
            came,
            sizes == [(LENGTH - SECOND).to_string()],
            "an open range reaches to the end",
            "an open range is not honoured; `ossup` always names both ends and checks Content-Range. The emulator's other \
             state is `--oss ignore_open_ranges`",
        ),
    }
}

async fn beyond(lab: &Lab) -> Found {
    match ranged(lab, "beyond", "bytes=0-999999999").await {
        Err(found) => found,
        Ok((came, _)) => {
            let whole = came.contains("Content-Range none");
            Found::either(
                came,
                whole,
                "a range that does not fit is ignored and the whole copied, without Content-Range: `ossup` refuses such an answer",
                "the range is cut or refused; `ossup` names none that does not fit. The emulator's other state is \
                 `--oss clip_copy_ranges`",
            )
        }
    }
}

async fn crc(lab: &Lab) -> Found {
    let (upload, _) = match begun(lab, "crc").await {
        Ok(begun) => begun,
        Err(found) => return found,
    };
    let copied = lab.copy("crc", &upload, "copied", &[]).await;
    let listed = !lab.parts("crc", &upload).await.elements("HashCrc64ecma").is_empty();
    let tag = copied.elements("ETag").pop().unwrap_or_default();
    let completed = lab.complete("crc", &upload, &[("1", &tag)], &[]).await;
    let object = lab.head("crc").await;
    if !completed.is_ok() || !object.is_ok() {
        return Found::open(
            format!("{}, {}", completed.shown(), object.shown()),
            "no object was made of the part",
        );
    }
    let has = object.header("x-oss-hash-crc64ecma").is_some();
    let word = |yes: bool| if yes { "a" } else { "no" };
    Found::either(
        format!("ListParts has {} CRC-64, HEAD {} CRC-64", word(listed), word(has)),
        listed && has,
        "what is copied can be proved as what is sent",
        "objects of copied parts have no CRC-64 and can only be proved by tag; the emulator's other state is \
         `--oss copies_without_crc`",
    )
}

async fn unmodified(lab: &Lab) -> Found {
    let (upload, tag) = match begun(lab, "unmodified").await {
        Ok(begun) => begun,
        Err(found) => return found,
    };
    let seen = lab.copy("unmodified", &upload, "copied", &[("x-oss-copy-source-if-none-match", &tag)]).await;
    if ![304, 412].contains(&seen.status) {
        return Found::open(seen.shown(), "the answer is neither 304 nor 412");
    }
    Found::either(
        seen.shown(),
        seen.status == 304,
        "304, as the tests of the vendor's JavaScript client have it for CopyObject",
        "412; `ossup` sends no such condition. The emulator's other state is `--oss copy_unmodified_412`",
    )
}

async fn if_match(lab: &Lab) -> Found {
    let (upload, tag) = match begun(lab, "if-match").await {
        Ok(begun) => begun,
        Err(found) => return found,
    };
    let bare = tag.trim_matches('"').to_owned();
    let quoted = format!("\"{bare}\"");
    let mut seen = Vec::new();
    for tag in [&quoted, &bare] {
        seen.push(lab.copy("if-match", &upload, "copied", &[("x-oss-copy-source-if-match", tag)]).await);
    }
    Found::either(
        format!("with quotes {}, without {}", seen[0].shown(), seen[1].shown()),
        seen.iter().all(super::lab::Seen::is_ok),
        "either spelling is taken",
        "only one spelling is taken: `ossup` must send that one. The emulator's other state is \
         `--oss quoted_copy_conditions`",
    )
}

async fn appendable(lab: &Lab) -> Found {
    let (upload, _) = match begun(lab, "from-appended").await {
        Ok(begun) => begun,
        Err(found) => return found,
    };
    let query = [("append", None), ("position", Some("0"))];
    let ask = lab.about("AppendObject", Method::POST, "appended", &query).with_body(vec![b'a'; 2 * SECOND]);
    let appended = lab.send(ask).await;
    if !appended.is_ok() {
        return Found::open(appended.shown(), "no object could be appended to");
    }
    let seen = lab.copy("from-appended", &upload, "appended", &[]).await;
    Found::either(
        seen.shown(),
        seen.is_ok(),
        "parts may be copied from what was appended to, as a client's own test does it",
        "the source may not be appendable, as the user guide says; `ossup` copies from none. The emulator's other state \
         is `--oss refuse_appendable_source`",
    )
}
