// Package logstore keeps log events: durable when [Store.Append] returns, ordered by time when read.
//
// It knows streams by opaque identifiers; names, groups, retention and limits are the API's business (internal/api/logs) and
// records of the store. It is no search engine: a filter reads what lies in the wanted time.
//
// How an event travels: Append puts it into the journal, one file for all streams, whose fsync many callers share (journal.go,
// commit.go). It then is in the stream's memory table. Now and then the tables are written out, sorted, to segments of their
// streams, and the journal they came from is removed (flush.go). A stream's meta file says how far its segments go, so whatever
// a crash leaves behind it is not counted, and is not lost: it is still in the journal. Reads merge segments and memory
// (read.go). Order is by time and then by arrival ([Key]), so a position in a stream stays valid whatever arrives later.
//
// Start at [Open], [Store.Append] and [Store.Read].
package logstore
