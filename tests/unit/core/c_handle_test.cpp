#include "stages/core/c_handle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cfp {
namespace {

using testing::ElementsAre;

std::vector<int> closed;

int close_id(int id) {
  closed.push_back(id);
  return 0;
}
using Id = CHandle<int, -1, close_id>;

struct Object {
  int number;
};
void free_object(Object* object) { closed.push_back(object->number); }
void free_and_clear(Object** object) {
  closed.push_back((*object)->number);
  *object = nullptr;
}

class CHandleTest : public testing::Test {
 protected:
  CHandleTest() { closed.clear(); }
};

TEST_F(CHandleTest, ClosesOnceWhereItIsLeft) {
  {
    Id first(7);
    const Id second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what a move leaves is the question
    EXPECT_EQ(second.get(), 7);
    EXPECT_THAT(closed, ElementsAre());
  }
  EXPECT_THAT(closed, ElementsAre(7));
}

TEST_F(CHandleTest, ClosesWhatAnAssignmentReplaces) {
  Id id(1);
  id = Id(2);
  EXPECT_THAT(closed, ElementsAre(1));
  Id& itself = id;
  id = std::move(itself);
  EXPECT_EQ(id.get(), 2);
  EXPECT_THAT(closed, ElementsAre(1));
}

TEST_F(CHandleTest, ClosesNeitherWhatItReleasedNorAnInvalidId) {
  {
    Id id(3);
    EXPECT_EQ(id.release(), 3);
    const Id invalid;
    EXPECT_FALSE(invalid);
  }
  EXPECT_THAT(closed, ElementsAre());
}

TEST_F(CHandleTest, FreesThroughEitherKindOfFunction) {
  Object one{1};
  Object two{2};
  {
    const CPtr<Object, free_object> by_pointer(&one);
    const CPtr<Object, free_and_clear> by_address(&two);
  }
  EXPECT_THAT(closed, ElementsAre(2, 1));
}

}  // namespace
}  // namespace cfp
