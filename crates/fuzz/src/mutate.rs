//! What may become of a seed.

use crate::random::Random;

/// Values at which programs trip.
const WORDS: [u32; 14] = [
    0,
    1,
    2,
    3,
    0x7f,
    0xff,
    0x100,
    0x3fff,
    0xffff,
    0x00ff_ffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_ffff,
];

/// One to six changes of one of the seeds.
pub(crate) fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        change(&mut input, seeds, random);
    }
    input
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len());
    let kind = random.below(10);
    if input.is_empty() {
        input.push(random.next() as u8);
        return;
    }
    match kind {
        0 | 1 => input[at] ^= 1 << random.below(8),
        2 => input[at] = random.next() as u8,
        3 | 4 => {
            // Mostly where words are: formats align them.
            let at = if random.below(4) == 0 { at } else { at & !3 };
            let word = WORDS[random.below(WORDS.len())];
            let word = match random.below(3) {
                0 => word.to_le_bytes(),
                _ => word.to_be_bytes(),
            };
            overwrite(input, at, &word);
        }
        5 => {
            let word = input.get(at & !3..(at & !3) + 4);
            if let Some(&[a, b, c, d]) = word {
                let step = [1, 4, u32::MAX, u32::MAX - 3][random.below(4)];
                let word = u32::from_be_bytes([a, b, c, d]).wrapping_add(step);
                overwrite(input, at & !3, &word.to_be_bytes());
            }
        }
        6 => input.truncate(at),
        7 => {
            let end = (at + 1 + random.below(64)).min(input.len());
            let piece = input[at..end].to_vec();
            let to = random.below(input.len());
            input.splice(to..to, piece);
        }
        8 => {
            let end = (at + 1 + random.below(64)).min(input.len());
            input.drain(at..end);
        }
        _ => {
            // The end of another seed instead of its own.
            let other = &seeds[random.below(seeds.len())];
            let from = at.min(other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (old, new) in input[at..].iter_mut().zip(bytes) {
        *old = *new;
    }
}
