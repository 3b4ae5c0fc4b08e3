// Package lawtest holds tests that keep the rules of CONTRIBUTING.md which a
// compiler cannot: who may import whom, no work before main, no state in
// packages, and words for people in one place only. It has no code of its own.
package lawtest
