// Package wire encodes what watches send, once for all who get the same: a
// run of events becomes one buffer that every message which carries it
// shares. It is the only place that uses grpc's experimental mem and CodecV2.
//
// # Types
//
//   - [Encoder] makes batches; its header names the member.
//   - [Batch] is a header and the events of one run, encoded.
//   - [Message] is a batch for one watch, or a fragment of one: what is given
//     to grpc.ServerStream.SendMsg in place of an etcdserverpb.WatchResponse.
//   - [Codec] hands a Message's buffers to grpc as they are and everything
//     else to grpc's own codec.
//
// # The bytes
//
// A WatchResponse on the wire is its fields one behind the other, in any
// order. A Message is
//
//	watch_id (2)            encoded once for each small id
//	header (1), events (11) encoded once, the batch
//
// and a fragment
//
//	watch_id (2)
//	header (1), fragment (7)
//	events (11)             some of the batch's bytes
//
// An event that is a put carries its stored record, which is the encoded
// mvccpb.KeyValue, without decoding it. A delete has only key and mod_revision
// (E5). The tests hold all of it against the generated code.
//
// # Memory
//
// A batch is as large as the records in it and about ten bytes for each. It is
// alive as long as a response that has it is queued, here or in grpc; its
// buffers are not counted, pooled or reused: grpc reads them after SendMsg has
// returned.
package wire
