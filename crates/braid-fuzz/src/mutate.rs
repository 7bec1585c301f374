//! Damage: what a careless program, a bad disk or an attacker does to a file.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::container::Input;

/// Longest input, in bytes: most of what goes wrong needs little.
const MAX_BYTES: usize = 128 * 1024;
/// Most changes of one input.
const MAX_CHANGES: usize = 6;
/// Numbers at the edges of types, and beyond.
const NUMBERS: [&str; 8] = [
    "0",
    "-1",
    "255",
    "65536",
    "2147483648",
    "-9223372036854775809",
    "99999999999999999999",
    "1e309",
];

/// One of `seeds`, changed. `words` are pieces that mean something to the parser.
pub fn mutate(random: &mut StdRng, seeds: &[Input], words: &[&str]) -> Input {
    let pick = |random: &mut StdRng| &seeds[random.random_range(0..seeds.len())];
    let mut input = pick(random).clone();
    // Of a container sometimes the container itself is damaged.
    if random.random_range(0..5) == 0 {
        input = Input::Bytes(input.bytes());
    }
    let donor = pick(random).bytes();
    for _ in 0..random.random_range(1..=MAX_CHANGES) {
        let part = match &mut input {
            Input::Bytes(bytes) => Some(bytes),
            Input::Archive(parts) => choose(random, parts).map(|(_, content)| content),
            Input::Objects(objects) => choose(random, objects),
        };
        if let Some(part) = part {
            change(random, part, &donor, words);
        }
    }
    input
}

fn choose<'a, T>(random: &mut StdRng, items: &'a mut [T]) -> Option<&'a mut T> {
    match items.len() {
        0 => None,
        count => items.get_mut(random.random_range(0..count)),
    }
}

fn change(random: &mut StdRng, bytes: &mut Vec<u8>, donor: &[u8], words: &[&str]) {
    let range = range(random, bytes.len());
    match random.random_range(0..11) {
        0 => {
            if let Some(byte) = choose(random, bytes) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
        1 => {
            if let Some(byte) = choose(random, bytes) {
                *byte = random.random();
            }
        }
        2 => drop(bytes.drain(range)),
        3 => bytes.truncate(range.start),
        4 => {
            let copy = bytes[range.clone()].to_vec();
            insert(bytes, range.start, &copy);
        }
        // Nesting and size: a piece many times over.
        5 => {
            let times = 1 << random.random_range(1..14);
            let short = range.start..range.end.min(range.start + 64);
            let copy = bytes[short].repeat(times);
            insert(bytes, range.start, &copy);
        }
        6 => {
            let piece = self::range(random, donor.len());
            insert(bytes, range.start, &donor[piece]);
        }
        7 => number(random, bytes, range.start),
        8 => {
            let noise: Vec<u8> = (0..random.random_range(1..16))
                .map(|_| random.random())
                .collect();
            insert(bytes, range.start, &noise);
        }
        9 => {
            let word = word(random, words);
            insert(bytes, range.start, word.as_bytes());
        }
        _ => {
            let times = 1 << random.random_range(1..12);
            let word = word(random, words).repeat(times);
            insert(bytes, range.start, word.as_bytes());
        }
    }
}

fn word<'a>(random: &mut StdRng, words: &[&'a str]) -> &'a str {
    match words.len() {
        0 => "\u{feff}\u{0}\u{202e}",
        count => words[random.random_range(0..count)],
    }
}

/// A range within so many bytes, short more often than long.
fn range(random: &mut StdRng, length: usize) -> std::ops::Range<usize> {
    let start = random.random_range(0..=length);
    let most = 1_usize << random.random_range(0..12);
    start..(start + random.random_range(0..=most)).min(length)
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let room = MAX_BYTES.saturating_sub(bytes.len());
    let piece = &piece[..piece.len().min(room)];
    bytes.splice(at..at, piece.iter().copied());
}

/// Replaces the next number after `from`.
fn number(random: &mut StdRng, bytes: &mut Vec<u8>, from: usize) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = bytes[from..].iter().position(is_digit) else {
        return;
    };
    let start = from + start;
    let length = bytes[start..]
        .iter()
        .take_while(|byte| is_digit(byte))
        .count();
    let other = NUMBERS[random.random_range(0..NUMBERS.len())];
    bytes.splice(start..start + length, other.bytes());
}
