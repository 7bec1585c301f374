//! A headless Chromium, driven through its DevTools pipe: messages end with a zero byte, commands
//! go to its file descriptor 3 and answers come from 4, which a shell connects to two named pipes.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Names under which Chromium is installed.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// Nothing on a test's page takes this long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    commands: File,
    messages: Receiver<Value>,
    next_id: u64,
    session: Option<String>,
    /// Events of the page so far.
    events: Vec<Value>,
    _directory: TempDir,
}

/// Where Chromium is; `None`, with a word on standard error, where it is not installed and tests
/// may be left out.
pub(crate) fn installed() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        let message = "Chromium is not installed: the pages are not tested in a browser";
        assert!(std::env::var_os("CI").is_none(), "{message}");
        report(message);
    }
    found
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn report(message: &str) {
    eprintln!("{message}");
}

impl Browser {
    pub(crate) fn start(program: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pipe = |name: &str| {
            let path = directory.path().join(name);
            let made = Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(made.success());
            path
        };
        let (commands, messages) = (pipe("commands"), pipe("messages"));
        let process = Command::new("sh")
            .arg("-c")
            .arg("exec 3<\"$1\" 4>\"$2\"; shift 2; exec \"$@\"")
            .arg("sh")
            .args([&commands, &messages])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", directory.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Each opening waits for the shell's, which is in the same order.
        let commands = OpenOptions::new().write(true).open(commands).unwrap();
        let messages = read_messages(File::open(messages).unwrap());
        Self {
            process,
            commands,
            messages,
            next_id: 1,
            session: None,
            events: Vec::new(),
            _directory: directory,
        }
    }

    /// Opens `address` in a new page and waits until it is loaded.
    pub(crate) fn open(&mut self, address: &str) {
        self.session = None;
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", attach);
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        self.events.clear();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.call("Page.setLifecycleEventsEnabled", json!({ "enabled": true }));
        let navigated = self.call("Page.navigate", json!({ "url": address }));
        // Not by asking the page: what is asked of a document that is being replaced may never be
        // answered.
        self.wait_until_loaded(&navigated["loaderId"]);
    }

    #[track_caller]
    fn wait_until_loaded(&mut self, loader: &Value) {
        let is_load = |event: &Value| {
            event["params"]["loaderId"] == *loader && event["params"]["name"] == "load"
        };
        while !self.of_kind("Page.lifecycleEvent").any(is_load) {
            let event = self.receive("the page to load");
            self.events.push(event);
        }
    }

    /// The value of a JavaScript expression; promises are awaited.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let answer = self.call("Runtime.evaluate", parameters);
        assert_eq!(answer.get("exceptionDetails"), None, "{expression}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true, as the page's own changes make it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, condition: &str) {
        let patience = PATIENCE.as_millis() / 2;
        let promise = format!(
            "new Promise((resolve) => {{
                const check = () => {{ if ({condition}) {{ observer.disconnect(); resolve(true); }} }};
                const observer = new MutationObserver(check);
                observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
                addEventListener('load', check);
                setTimeout(() => resolve(false), {patience});
                check();
            }})"
        );
        let reached = self.evaluate(&promise);
        let page = self.evaluate("document.body.innerText");
        assert_eq!(
            reached, true,
            "{condition} never held; the page says: {page}"
        );
    }

    /// Types into the element that has the focus, as a person does.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    pub(crate) fn press_enter(&mut self) {
        for kind in ["keyDown", "keyUp"] {
            let key = json!({
                "type": kind, "key": "Enter", "code": "Enter", "text": "\r",
                "windowsVirtualKeyCode": 13,
            });
            self.call("Input.dispatchKeyEvent", key);
        }
    }

    /// The page as a picture, for people: where `BRAID_SCREENSHOTS` names a folder.
    pub(crate) fn screenshot(&mut self, name: &str, width: u32, dark: bool) {
        let Some(folder) = std::env::var_os("BRAID_SCREENSHOTS") else {
            return;
        };
        let metrics = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media);
        let picture = self.call("Page.captureScreenshot", json!({}));
        let file = PathBuf::from(folder).join(format!("{name}.png.base64"));
        std::fs::write(file, picture["data"].as_str().unwrap()).unwrap();
    }

    /// Addresses the page asked for.
    pub(crate) fn requested(&mut self) -> Vec<String> {
        // An answer comes after every event before it.
        self.evaluate("1");
        self.of_kind("Network.requestWillBeSent")
            .map(|event| {
                event["params"]["request"]["url"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    /// What the browser complains about: exceptions, refused loads, violated policies.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.evaluate("1");
        let exceptions = self
            .of_kind("Runtime.exceptionThrown")
            .map(|event| event["params"]["exceptionDetails"].to_string());
        let entries = self
            .of_kind("Log.entryAdded")
            .map(|event| event["params"]["entry"]["text"].to_string());
        exceptions.chain(entries).collect()
    }

    fn of_kind<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events
            .iter()
            .filter(move |event| event["method"] == method)
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        write!(self.commands, "{message}\0").unwrap();
        self.commands.flush().unwrap();
        loop {
            let mut message = self.receive(method);
            if message["id"] == id {
                assert_eq!(message.get("error"), None, "{method}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    #[track_caller]
    fn receive(&self, what_for: &str) -> Value {
        let message = self.messages.recv_timeout(PATIENCE);
        message.unwrap_or_else(|error| {
            let latest: Vec<_> = self.events.iter().rev().take(5).collect();
            panic!("waiting for {what_for}: {error}; the latest events: {latest:?}")
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends by itself when the pipe closes; the process is not left behind in any case.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads messages on a thread of its own, so that waiting for one has an end.
fn read_messages(pipe: File) -> Receiver<Value> {
    let (sender, messages) = mpsc::channel();
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while pipe.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
            bytes.pop();
            let Ok(message) = serde_json::from_slice(&bytes) else {
                return;
            };
            if sender.send(message).is_err() {
                return;
            }
            bytes.clear();
        }
    });
    messages
}
