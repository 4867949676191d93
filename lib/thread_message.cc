#include "thread_message.h"

#include <pthread.h>

#include <cstdio>
#include <cstdlib>

namespace pmem {
namespace {

constexpr std::size_t kMessageBytes = 8192;

pthread_key_t make_key() {
  pthread_key_t key = 0;
  // Can fail only where a program has used up its 1024 keys.
  if (::pthread_key_create(&key, std::free) != 0) {
    std::abort();
  }
  return key;
}

pthread_key_t message_key() {
  static const pthread_key_t kKey = make_key();
  return kKey;
}

char* message_or_null() {
  return static_cast<char*>(::pthread_getspecific(message_key()));
}

char* message_to_write() {
  char* message = message_or_null();
  if (message == nullptr) {
    message = static_cast<char*>(std::calloc(kMessageBytes, 1));
    if (message != nullptr &&
        ::pthread_setspecific(message_key(), message) != 0) {
      std::free(message);
      return nullptr;
    }
  }
  return message;
}

}  // namespace

const char* thread_message() {
  const char* message = message_or_null();
  return message == nullptr ? "" : message;
}

void set_thread_message(const char* sentence) {
  char* message = message_to_write();
  if (message != nullptr) {
    std::snprintf(message, kMessageBytes, "%s", sentence);
  }
}

}  // namespace pmem
