//! The words that the guard knows. Pairs are compared by stem, so one form of each word is enough.

use std::collections::BTreeSet;

/// Pairs of words, in either order.
pub(super) struct NamedPairs(BTreeSet<(String, String)>);

impl NamedPairs {
    /// Each group is one word and those that it is paired with.
    pub(super) fn new(groups: &[(&str, &[&str])], stem: impl Fn(&str) -> String) -> Self {
        let mut pairs = BTreeSet::new();
        for (word, others) in groups {
            pairs.extend(others.iter().map(|other| ordered(stem(word), stem(other))));
        }
        Self(pairs)
    }

    pub(super) fn has(&self, one: &str, other: &str) -> bool {
        self.0.contains(&ordered(one.to_owned(), other.to_owned()))
    }
}

fn ordered(one: String, other: String) -> (String, String) {
    if one <= other {
        (one, other)
    } else {
        (other, one)
    }
}

/// Written-out numbers by value. `one` is left out: it mostly is no number.
pub(super) const NUMBERS: &[&str] = &[
    "zero", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
];

/// Words that turn a question around. Words that end in `n't` are negations too.
pub(super) const NEGATIONS: &[&str] = &[
    "not",
    "no",
    "never",
    "none",
    "nobody",
    "nothing",
    "nowhere",
    "neither",
    "without",
    "cannot",
    "unable",
    "impossible",
    "except",
    "excluding",
    "lacking",
    "cant",
    "dont",
    "doesnt",
    "didnt",
    "isnt",
    "wont",
    "arent",
    "wasnt",
    "shouldnt",
];

/// Question words, by what they ask for. `what`, `which` and `how` can ask for anything.
pub(super) const QUESTIONS: &[&[&str]] =
    &[&["who", "whom", "whose"], &["where"], &["when"], &["why"]];

/// Words whose two sides are not alike.
pub(super) const DIRECTIONS: &[&str] = &[
    "to", "into", "onto", "from", "than", "before", "after", "over", "under", "above", "below",
    "by", "via", "behind", "inside", "within", "instead", "as",
];

/// Words that questions are not about, beside stop words.
pub(super) const FILLERS: &[&str] = &[
    "please", "kindly", "hello", "hi", "hey", "thanks", "just", "also", "really", "actually",
    "exactly", "tell", "explain", "know", "any", "some", "may", "might", "must", "shall",
];

/// Words that say little by themselves: where one stands for another word, that is no difference.
pub(super) const LIGHT: &[&str] = &[
    "allow", "allowed", "check", "get", "give", "given", "go", "help", "keep", "kept", "let",
    "make", "need", "needed", "put", "see", "take", "try", "use", "used", "want", "way",
];

/// Prefixes that make the opposite of a word.
pub(super) const PREFIXES: &[&str] = &[
    "un", "in", "im", "ir", "il", "dis", "de", "non", "mis", "anti", "counter",
];

/// Words and their opposites.
pub(super) const OPPOSITES: &[(&str, &[&str])] = &[
    ("enable", &["disable", "off", "deactivate"]),
    ("activate", &["off", "disable"]),
    ("on", &["off"]),
    ("before", &["after"]),
    ("previous", &["next", "following"]),
    ("start", &["stop", "end", "finish", "halt", "kill"]),
    ("begin", &["end", "finish", "stop"]),
    ("open", &["close", "shut"]),
    ("add", &["remove", "delete", "subtract", "drop"]),
    ("insert", &["delete", "remove", "extract"]),
    ("create", &["delete", "destroy", "remove", "drop"]),
    ("make", &["delete", "destroy", "remove"]),
    ("append", &["prepend"]),
    ("include", &["exclude", "omit"]),
    (
        "increase",
        &["decrease", "reduce", "lower", "shrink", "cut"],
    ),
    ("raise", &["lower", "reduce"]),
    ("grow", &["shrink"]),
    ("rise", &["fall", "drop"]),
    ("expand", &["collapse", "shrink"]),
    ("extend", &["shorten"]),
    (
        "allow",
        &["deny", "block", "forbid", "prevent", "refuse", "reject"],
    ),
    ("permit", &["prohibit", "forbid", "deny"]),
    ("grant", &["revoke", "deny"]),
    ("accept", &["reject", "refuse", "decline"]),
    ("approve", &["reject", "decline"]),
    ("maximum", &["minimum", "min"]),
    ("max", &["min", "minimum"]),
    ("maximal", &["minimal"]),
    ("maximize", &["minimize"]),
    ("most", &["least", "fewest"]),
    ("more", &["less", "fewer"]),
    ("high", &["low"]),
    ("higher", &["lower"]),
    ("highest", &["lowest"]),
    ("large", &["small", "little", "tiny"]),
    ("larger", &["smaller"]),
    ("largest", &["smallest"]),
    ("big", &["small", "little", "tiny"]),
    ("bigger", &["smaller"]),
    ("biggest", &["smallest"]),
    ("long", &["short", "brief"]),
    ("longer", &["shorter"]),
    ("longest", &["shortest"]),
    ("fast", &["slow"]),
    ("faster", &["slower"]),
    ("fastest", &["slowest"]),
    ("first", &["last", "final"]),
    ("early", &["late"]),
    ("earlier", &["later"]),
    ("earliest", &["latest"]),
    ("old", &["new", "young"]),
    ("older", &["newer", "younger"]),
    ("oldest", &["newest", "youngest", "latest"]),
    ("up", &["down"]),
    ("upgrade", &["downgrade"]),
    ("upload", &["download"]),
    ("upstream", &["downstream"]),
    ("import", &["export"]),
    ("push", &["pull"]),
    ("send", &["receive"]),
    ("sender", &["recipient", "receiver"]),
    ("give", &["take"]),
    ("read", &["write"]),
    ("load", &["save", "unload"]),
    ("backup", &["restore"]),
    ("encrypt", &["decrypt"]),
    ("encode", &["decode"]),
    ("commit", &["rollback", "revert"]),
    ("attach", &["detach"]),
    ("connect", &["disconnect"]),
    ("pause", &["resume", "continue"]),
    ("suspend", &["resume"]),
    ("freeze", &["thaw", "unfreeze"]),
    ("show", &["hide"]),
    ("appear", &["disappear", "vanish"]),
    ("true", &["false"]),
    ("right", &["wrong", "left"]),
    ("correct", &["wrong", "incorrect"]),
    ("success", &["failure"]),
    ("succeed", &["fail"]),
    ("successful", &["failed", "unsuccessful"]),
    ("pass", &["fail"]),
    ("work", &["fail"]),
    ("win", &["lose"]),
    ("gain", &["lose", "loss"]),
    ("profit", &["loss"]),
    ("buy", &["sell"]),
    ("purchase", &["sell", "sale"]),
    ("borrow", &["lend"]),
    ("deposit", &["withdraw", "withdrawal"]),
    ("debit", &["credit"]),
    ("income", &["expense"]),
    ("input", &["output"]),
    ("inbound", &["outbound"]),
    ("incoming", &["outgoing"]),
    ("ingress", &["egress"]),
    ("enter", &["leave", "exit"]),
    ("inside", &["outside"]),
    ("internal", &["external"]),
    ("above", &["below"]),
    ("over", &["under"]),
    ("top", &["bottom"]),
    ("front", &["back"]),
    ("forward", &["backward"]),
    ("north", &["south"]),
    ("east", &["west"]),
    ("public", &["private"]),
    ("local", &["remote", "global"]),
    ("online", &["offline"]),
    ("manual", &["automatic"]),
    ("manually", &["automatically"]),
    ("always", &["never"]),
    ("positive", &["negative"]),
    ("ascending", &["descending"]),
    ("client", &["server"]),
    ("source", &["target", "destination"]),
    ("parent", &["child"]),
    ("primary", &["secondary", "replica"]),
    ("single", &["multiple", "several"]),
    ("same", &["different"]),
    ("required", &["optional"]),
    ("static", &["dynamic"]),
    ("sync", &["async"]),
];

/// Words that say the same often enough to stand for each other in a question.
pub(super) const SYNONYMS: &[(&str, &[&str])] = &[
    ("delete", &["remove", "erase", "drop"]),
    ("enable", &["turn", "switch", "activate"]),
    ("increase", &["raise", "extend"]),
    ("decrease", &["reduce", "lower"]),
    ("limit", &["maximum", "max"]),
    ("cancel", &["terminate", "close"]),
    ("include", &["contain", "part"]),
    ("lost", &["missing"]),
    ("remove", &["erase", "drop", "uninstall"]),
    ("create", &["make", "add", "new", "build", "set"]),
    ("make", &["build", "get"]),
    ("add", &["insert", "put"]),
    ("start", &["begin", "launch", "run", "boot"]),
    ("run", &["execute", "launch", "use"]),
    ("stop", &["halt", "end", "kill", "quit", "terminate"]),
    (
        "change",
        &[
            "different",
            "modify",
            "edit",
            "alter",
            "update",
            "switch",
            "adjust",
            "set",
        ],
    ),
    ("update", &["edit", "modify", "upgrade"]),
    ("show", &["display", "list", "see", "view", "print"]),
    ("see", &["view", "check", "look", "find"]),
    ("find", &["locate", "get", "search", "look"]),
    ("get", &["obtain", "receive", "fetch", "retrieve", "have"]),
    ("use", &["utilize", "apply", "employ"]),
    ("configure", &["set", "setup", "adjust"]),
    ("install", &["setup", "set", "get"]),
    ("fix", &["solve", "repair", "resolve", "correct"]),
    ("error", &["problem", "issue", "failure", "bug"]),
    ("problem", &["issue", "trouble"]),
    ("fail", &["break", "crash"]),
    ("happen", &["occur"]),
    ("big", &["large", "huge"]),
    ("bigger", &["larger"]),
    ("small", &["little", "tiny"]),
    ("fast", &["quick", "rapid"]),
    ("quickly", &["fast", "soon"]),
    ("folder", &["directory"]),
    ("picture", &["image", "photo"]),
    ("buy", &["purchase"]),
    ("cost", &["price", "charge", "fee"]),
    ("charge", &["fee"]),
    ("allow", &["permit", "let"]),
    ("choose", &["select", "pick"]),
    ("convert", &["transform", "turn", "change"]),
    ("way", &["method", "option"]),
    ("possible", &["able", "can", "could"]),
    ("need", &["require", "must", "want"]),
    ("wait", &["take"]),
    ("answer", &["reply", "response"]),
];
