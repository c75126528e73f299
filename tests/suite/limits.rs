//! What the system does not give is said in one line: an output, memory, pictures enough.

use std::process::Command;

use crate::binary::{Ran, Scratch};

/// `salun` as a shell starts it.
fn shell(scratch: &Scratch, script: &str) -> Ran {
    let salun = env!("CARGO_BIN_EXE_salun");
    let mut command = Command::new("sh");
    command.current_dir(&scratch.0).arg("-c").arg(script.replace("salun", salun));
    Ran::of(command.output().unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn an_output_that_is_full_or_closed_is_a_failure_and_one_that_nobody_reads_is_none() {
    let scratch = Scratch::new("output");
    for line in
        ["salun info", "salun info --json", "salun data list", "salun --help", "salun --version"]
    {
        for (into, words) in [(">&-", "was closed"), ("> /dev/full", "No space left")] {
            let ran = shell(&scratch, &format!("{line} {into}"));
            assert_eq!(ran.status, Some(1), "{line} {into}: {ran:?}");
            assert!(ran.stderr.contains(words), "{line} {into}: {ran:?}");
        }
        let ran = shell(&scratch, &format!("{{ {line}; echo $? >&2; }} | true"));
        assert_eq!(ran.stderr.trim(), "0", "{line}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn where_memory_ends_the_program_says_so_and_ends() {
    let scratch = Scratch::new("memory");
    let run = "salun unlearn --model fashion-classifier --data fashion-mnist --forget class:Bag \
               --budget tiny --out run --device cpu --quiet";
    let ran = shell(&scratch, &format!("ulimit -v 250000; {run}"));
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert_eq!(ran.complaints().len(), 1, "{ran:?}");
    // Where there are many cores it may be their threads that find none.
    assert!(ran.stderr.contains("memory"), "{ran:?}");
    // What it was writing is cleared by the next one.
    let ran = shell(&scratch, run);
    assert_eq!((ran.status, scratch.names()), (Some(0), vec!["run".into()]), "{ran:?}");
}

#[test]
fn a_verdict_that_rests_on_a_single_picture_is_none() {
    let scratch = Scratch::new("few");
    let ran = scratch.run(
        "unlearn --model fashion-ddpm --data fashion-mnist --forget class:Bag --budget tiny --steps 1 \
         --out run",
    );
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("verdict: none. too few pictures to judge by (n = 1)"), "{ran:?}");
}
