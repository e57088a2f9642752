// Package store keeps Neargate's records: typed tables with indexes, held in memory, made durable by a back end (etcd).
//
// It is not a general database and knows no AWS rule: it stores what internal/model defines, checks that nothing a
// transaction has read was changed by anybody else, and tells who asked which keys have changed.
//
// Where to start: [OpenTables] opens everything; [DB.View] reads one consistent snapshot; [DB.Update] runs a
// transaction; [Table] has the verbs; [Table.Changes] feeds reconcilers. The list of tables is in tables.go.
//
// # Rules for callers
//
//   - A record that the store hands out is shared by everybody and must not be changed. To edit one, take
//     [Table.Clone] of it. (storetest.New fails a test that breaks this.)
//   - Read inside the transaction what its decision rests on. Records, absent records, index look-ups and whole lists
//     that were read are all checked when it commits; if one has changed, the function runs again.
//   - The function given to Update may run several times, so it only computes and writes to the store: no side
//     effects, no waiting, no nested Update.
//   - When Update returns nil the change is durable, and every later View of this process shows it.
//
// # How a write becomes durable
//
// A transaction runs against the head: the durable state plus the transactions that wait for their fsync. When it
// ends it is checked against the head of that moment and appended, so transactions of this process collide only while
// their functions overlap, not while the disk works. One goroutine (commit.go) sends all that has queued up as one
// conditional transaction to the back end; its conditions are the revisions of the records read and, for lists and
// index look-ups, the guard key of the table, which every writer bumps. If another daemon was faster, the cache
// catches up and the queue is checked again in memory; only transactions whose reads really changed run again.
// A verdict that rests on something not yet durable (an error such as "exists already") is returned only after that
// something is durable.
package store
