//! One raw LZ4 block (6.4). All that can be wrong with it has one code and one offset, so that it is enough
//! to say that something is.

/// The bytes that `input` stands for, if it is a sequence of LZ4 sequences that give exactly `length`
/// bytes.
pub(super) fn decompress(input: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        let token = *input.get(at)?;
        at += 1;

        let literals = run_length(input, &mut at, token >> 4)?;
        if literals > length - out.len() {
            return None; // BLK-17: more than declared
        }
        out.extend_from_slice(input.get(at..at.checked_add(literals)?)?);
        at += literals;

        // BLK-16: the bytes end with the literals of a sequence, and only there
        if at == input.len() {
            break;
        }

        let offset = usize::from(u16::from_le_bytes([*input.get(at)?, *input.get(at + 1)?]));
        at += 2;
        if offset == 0 || offset > out.len() {
            return None; // BLK-16: a match begins in what is there
        }
        let matched = run_length(input, &mut at, token & 0x0F)?.checked_add(4)?;
        if matched > length - out.len() {
            return None; // BLK-17: more than declared
        }
        for _ in 0..matched {
            out.push(out[out.len() - offset]); // a match may run into what it writes
        }
    }
    // BLK-17: less than declared
    (out.len() == length).then_some(out)
}

/// The length that begins in half a token and goes on in further bytes if that is 15.
fn run_length(input: &[u8], at: &mut usize, half: u8) -> Option<usize> {
    let mut length = usize::from(half);
    if half == 15 {
        loop {
            let byte = *input.get(*at)?;
            *at += 1;
            length = length.checked_add(usize::from(byte))?;
            if byte != 255 {
                break;
            }
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences() {
        assert_eq!(decompress(b"\x30abc", 3).as_deref(), Some(&b"abc"[..]));
        // "ab", then six bytes from two back, then the last literal
        assert_eq!(decompress(b"\x22ab\x02\x00\x10c", 9).as_deref(), Some(&b"ababababc"[..]));
        // no last literal, and a low half of the last token that means nothing
        assert_eq!(decompress(b"\x22ab\x02\x00\x07", 8).as_deref(), Some(&b"abababab"[..]));
        // long runs
        let mut long = vec![0xFF, 255, 0];
        long.extend_from_slice(&[7; 270]);
        long.extend_from_slice(&[1, 0, 255, 1, 0x00]);
        assert_eq!(decompress(&long, 270 + 15 + 256 + 4), Some(vec![7; 545]));
    }

    #[test]
    fn what_is_no_sequence() {
        let cases: [(&[u8], usize); 10] = [
            (b"", 1),
            (b"\x30ab", 3),                // literals end early
            (b"\x30abc", 2),               // more than declared
            (b"\x30abc", 4),               // less
            (b"\x22ab\x02\x00", 8),        // ends with a match
            (b"\x22ab\x03\x00\x00", 8),    // offset before the begin
            (b"\x22ab\x00\x00\x00", 8),    // offset 0
            (b"\x22ab\x02", 8),            // half an offset
            (b"\x2Fab\x02\x00", 21),       // no further length
            (b"\x2Fab\x02\x00\xFF", 1000), // the same after a full one
        ];
        for (input, length) in cases {
            assert_eq!(decompress(input, length), None, "{input:x?}");
        }
    }
}
