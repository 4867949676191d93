// The sentence behind pmem_errormsg(): one for each thread, "" at first.
//
// It is not thread-local storage: a library that is loaded at run time finds
// little room there, and 8 KiB would keep it from being loaded at all. The text
// is allocated at the thread's first failure and freed at its end. Any thread.
#pragma once

namespace pmem {

// The calling thread's sentence. Never null; the pointer stays good until the
// thread ends.
[[nodiscard]] const char* thread_message();

// Replaces it. Keeps the old one if there is no memory.
void set_thread_message(const char* sentence);

}  // namespace pmem
