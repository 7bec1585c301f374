//! The pages in a real browser.

use std::sync::Arc;

use braid_testkit::OverlapReranker;
use serde_json::json;

use crate::browser::{self, Browser};
use crate::retrieve::corpus;
use crate::server::{Server, Setup};
use crate::shutdown::Listening;

/// What would happen if a document's markup were run.
const ATTACK: &str = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script><b id=bold>bold</b>";

/// Browsers take all cores while they start: one at a time is faster, and none starves.
static ONE_BROWSER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Runs `drive` on a browser and the address of a server with some documents; left out where there
/// is no browser.
async fn with_browser(drive: impl FnOnce(&mut Browser, &str) + Send + 'static) {
    let Some(program) = browser::installed() else {
        return;
    };
    let _turn = ONE_BROWSER.lock().await;
    let setup = Setup {
        reranker: Some(Arc::new(OverlapReranker::new())),
        ..Setup::default()
    };
    let server = setup.open().await;
    corpus(&server).await;
    let attack = json!({
        "text": format!("{ATTACK} attack"), "title": ATTACK, "uri": "javascript:alert(1)",
        "metadata": { "note": ATTACK },
    });
    server.index("<i>attack</i>", attack).await;
    let listening = Listening::start(server.app.clone()).await;
    let address = format!("http://{}", listening.address);
    let driven = tokio::task::spawn_blocking(move || {
        let mut browser = Browser::start(&program);
        drive(&mut browser, &address);
    });
    let outcome = driven.await;
    listening.stop().await;
    drop::<Server>(server);
    outcome.unwrap();
}

/// Everything the page loaded came from `address`, and the browser has nothing to complain about.
#[track_caller]
fn assert_clean(browser: &mut Browser, address: &str) {
    for requested in browser.requested() {
        let local = requested.starts_with(address) || requested.starts_with("data:");
        assert!(local, "asked for {requested}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_person_asks_and_sees_every_stage() {
    with_browser(|browser, address| {
        browser.open(address);
        browser.wait_for("document.getElementById('state').textContent.includes('documents')");
        let state = browser.evaluate("document.getElementById('state').textContent");
        assert_eq!(state, "4 documents, 5 chunks, up to date");
        assert_eq!(browser.evaluate("document.activeElement.id"), "query");
        browser.type_text("install with cargo");
        browser.press_enter();
        browser.wait_for("document.querySelectorAll('.hit').length > 1");
        let first = browser.evaluate("document.querySelector('.hit').innerText");
        let first = first.as_str().unwrap();
        assert!(first.starts_with("1Installing › With cargo"), "{first}");
        assert!(first.contains("Install the braid binary with cargo."), "{first}");
        assert!(first.contains("https://braid.example/install"), "{first}");
        assert!(first.contains("tag: setup, cli"), "{first}");
        let scores = browser.evaluate(
            "[...document.querySelectorAll('.hit:first-child .scores div')].map((cell) => cell.innerText.split(/\\s+/))",
        );
        let stages: Vec<_> = scores.as_array().unwrap().iter().map(|cell| &cell[0]).collect();
        assert_eq!(stages, ["lexical", "dense", "fused", "re-ranked"]);
        for cell in scores.as_array().unwrap() {
            assert!(cell[1].as_str().unwrap().starts_with('#'), "{cell}");
            assert!(cell[2].as_str().unwrap().parse::<f64>().is_ok(), "{cell}");
        }
        let ordered = browser.evaluate("document.querySelector('.ordered').dataset.stage");
        assert_eq!(ordered, "rerank");
        let summary = browser.evaluate("document.getElementById('summary').innerText");
        assert!(summary.as_str().unwrap().contains("total"), "{summary}");
        let context = browser.evaluate("document.getElementById('context-text').textContent");
        assert!(context.as_str().unwrap().contains("[1]"), "{context}");
        let link = browser.evaluate("location.search");
        assert_eq!(link, "?q=install+with+cargo&collection=default");
        browser.screenshot("light", 1100, false);
        browser.screenshot("dark", 1100, true);
        browser.screenshot("narrow", 380, false);
        assert_clean(browser, address);
    })
    .await;
}

#[tokio::test]
async fn a_link_asks_again() {
    with_browser(|browser, address| {
        let link = "?q=cargo&collection=default&mode=lexical&top_k=1&rerank=off";
        browser.open(&format!("{address}/{link}"));
        browser.wait_for("document.querySelectorAll('.hit').length === 1");
        let none = browser.evaluate("document.querySelector('[data-stage=dense]').className");
        assert_eq!(none, "none");
        assert_eq!(
            browser.evaluate("location.search"),
            "?q=cargo&collection=default&mode=lexical&top_k=1&rerank=off"
        );
        assert_eq!(
            browser.evaluate("document.getElementById('rerank').checked"),
            false
        );
        assert_clean(browser, address);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_shown_in_place_of_hits() {
    with_browser(|browser, address| {
        browser.open(&format!("{address}/?q=cargo"));
        browser.wait_for("document.querySelectorAll('.hit').length > 0");
        browser.evaluate("document.getElementById('query').select()");
        browser.type_text("   ");
        browser.press_enter();
        browser.wait_for("!document.getElementById('error').hidden");
        let error = browser.evaluate("document.getElementById('error').textContent");
        let error = error.as_str().unwrap();
        assert_eq!(error, "INVALID_REQUEST: /query: must not be empty");
        assert_eq!(
            browser.evaluate("document.querySelectorAll('.hit').length"),
            0
        );
        let shown = browser.evaluate("document.getElementById('summary').checkVisibility()");
        assert_eq!(shown, false, "figures of the last answer beside an error");
        browser.screenshot("error", 1100, false);
        browser.evaluate("document.getElementById('top_k').value = 10000");
        browser.type_text("cargo");
        browser.press_enter();
        browser.wait_for("document.getElementById('error').textContent.includes('/top_k')");
        browser.evaluate("document.getElementById('top_k').value = 3");
        browser.press_enter();
        browser
            .wait_for("document.getElementById('error').hidden && document.querySelector('.hit')");
    })
    .await;
}

#[tokio::test]
async fn markup_in_documents_is_shown_and_never_run() {
    with_browser(|browser, address| {
        browser.open(&format!("{address}/?q=attack"));
        browser.wait_for("document.querySelectorAll('.hit').length > 0");
        let text = browser.evaluate("document.querySelector('.hit .text').textContent");
        assert_eq!(text, format!("{ATTACK} attack"));
        let title = browser.evaluate("document.querySelector('.hit h2').textContent");
        assert!(title.as_str().unwrap().contains("<script>"), "{title}");
        let made = browser.evaluate("document.querySelectorAll('main script, main img, main b#bold, main i, main a').length");
        assert_eq!(made, 0, "markup became elements");
        assert_eq!(browser.evaluate("document.title"), "Braid playground");
        assert_clean(browser, address);
    })
    .await;
}

#[tokio::test]
async fn the_reference_shows_the_api_without_the_internet() {
    with_browser(|browser, address| {
        browser.open(&format!("{address}/docs/"));
        browser.wait_for("document.querySelectorAll('.opblock').length >= 16");
        let title = browser.evaluate("document.querySelector('.info .title').innerText");
        assert!(title.as_str().unwrap().starts_with("Braid"), "{title}");
        browser.screenshot("reference", 1100, false);
        assert_clean(browser, address);
    })
    .await;
}
