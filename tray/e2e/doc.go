// Package e2e tests the whole: the two programs as they are shipped, as real
// processes on real sockets, in all dialects of the classic protocol at once.
// It imports nothing that either program is made of, only the nouns in which
// they report (tray/chat) and the textbook programs that they meet in the
// field (protocol/classic/classictest).
package e2e
