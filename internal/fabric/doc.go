// Package fabric turns the records of one VPC into the packet path of its namespace: a [ruleset.Router].
//
// It is pure: records in, data out, no I/O, no kernel, no clock. Package node/network applies what comes out, and
// [Evaluate] says what the very same description does with a packet. The parts are in sub-packages: firewall (security
// groups to sets and chains), route (route tables to routing tables and marks) and gateway (the NAT gateway's and the
// edge's own namespaces). Start at [Compile].
package fabric
