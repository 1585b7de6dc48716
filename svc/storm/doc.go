// Package storm is a test of the whole: the coordinator with clients of both
// protocols in one simulated network, through random schedules of everything
// that happens to people, programs, cables and coordinators. It has no code of
// its own, and is the one place of svc that knows the client's side.
package storm
