"""Replay: a body's calls, their records, and the repeated execution of a body from its records.

A run must survive the end of its process. So a body that was interrupted, or parked, is executed again from its first line, in another
process. This execution must make the same calls in the same order. Calls with a record get the recorded outcome at once; the others are
made. Files refer to the rules below by number ("replay, rule 4").

Theory of operation
===================

1. **Paths** (`call_paths`). A body is a tree of nodes: asyncio tasks, work given to threads, steps. A call's path is its node's place in
   the tree and a counter: `2/0` is the first call of the third task; `1:0` is the first call inside the step that is call 1. So a path
   depends only on the body's code, not on what arrived first. Otherwise two concurrent calls could get each other's records.

2. **Records** (`journal_reader`, `wire.Recorded`). The host numbers records in the order in which calls ended, and notes the time of each
   end on the run's own clock. `JournalReader` fetches them in pages. The *front* is the first record that is not used yet. While any
   record is left, the run is replaying; after the last one it is live.

3. **Comparison** (`comparison`). A call and its record must agree in path, operation and hash of the arguments. A record whose call never
   comes is a disagreement too. Then the run fails with NonDeterminism: no later record could be trusted to belong to its call.

4. **When a recorded outcome is given.** It depends on how the call waits:
   a. A call that blocks the only thread, or the thread of the running loop, takes its own record at once, wherever it is in the
      journal. While it blocked, nothing else of its thread could go on.
   b. A call that is awaited in the main thread's loop waits until the loop has nothing else to do *and* its record is the front. At that
      moment everything that the outcome before it led to has happened.
   c. A call of a thread beside a running loop waits for the loop in the same way. If the loop is blocked, it takes its record at once,
      because the loop may be waiting for this thread.
   d. Threads without a loop in the main thread, and coroutines in the loop of another thread, wait in a queue (rule 7).

5. **The order of answers and timers** (`event_loop`, `next_event`, `timeline`). An idle loop asks its conductor, `EventOrder`, what
   happens next. One thing happens at a time, in the order of times on the run's clock: a recorded outcome, an answer that has arrived, or
   a timer. The run's clock moves from one to the next; on replay it stands still in between. Otherwise a timeout that fired before an
   answer could fire after it on replay. Some records and frames serve only this order:
   a. `tick`: a sleep of at least a second is over. A replay does not sleep again.
   b. `Late`: a timer fired while an answer was on its way. The answer's time is moved behind the timer.
   c. Values read from clocks travel with the next frame, because nothing outside depends on them before. They are stored by node. A
      `clock` record holds only such values.

6. **Calls without a record.** When all records are used, the waiting calls get the outcome LIVE, in the order in which the body made
   them, and are sent to the host. There is one exception: a step that had begun but not ended has no record, though calls inside it have.
   It gets LIVE as soon as the front is a record below its path. It is performed again and meets these records.

7. **Threads** (`thread_queue`, `thread_readings`, `thread_patches`). Threads share lists and locks that nobody records. So on replay they
   go on one after the other, in the order of their records: the next one gets its outcome when the one before has made its next call, has
   ended its work, or is blocked. Results that depend on the speed of threads (which future is done, who got from a queue first) are
   recorded as readings, like readings of a clock, and given again.

8. **Events.** An event has the path of its node and a number. The host says how many events of each path are stored, so a replay does
   not send them again.

9. **Parking** (`exchange`). Some calls may take days (`ask`, `sleep`, `workflow`). The worker tells the host (`Idle`) when a body only
   waits for such calls: its loop has no timer and no other open file, and no other thread is alive. The host may then end the process.
   Later the run is replayed up to the same place. If another run has changed the state meanwhile, a `wake` record carries the new state.

10. **Sources of chance** (`run_clock`, `seeded_random`). Time comes from the records. `random` and `uuid` draw from generators that the
    run's id seeds, one for each node: the draws of one task do not depend on the progress of another.

11. **Streams.** The answer of a streamed call arrives in pieces, which are not recorded. The body may make calls between two pieces, and
    these may be recorded before the streamed call is. So a replay gives the pieces when the call is made, from its record, and the
    answer when its turn comes. A streamed call without a record is made at once, also while records are left. The record of a streamed
    call that the body has cancelled holds the pieces that it had got.

`body_calls` implements `authoring.doors.Doors` on top of all this, with `body_events`, `body_steps` and `call_sender`. `exchange` has the
rules of the socket, `pending_call` is one call that waits, `outcomes` turns outcomes into values and steps into records.
"""
