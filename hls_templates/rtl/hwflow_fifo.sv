// Stream FIFO: decouples two neighbours, and holds the short branch of a skip connection while the
// long one computes.
//
//   WIDTH  bits of a beat
//   DEPTH  beats in the memory, any number from 1; the output register holds one beat more
//
// The memory is written and read synchronously, so that it may become block RAM.
//
// Timing: 2 cycles from input to output, one beat a cycle; DEPTH = 1 takes a beat every other cycle.

`default_nettype none

module hwflow_fifo #(
    parameter int WIDTH = 16,
    parameter int DEPTH = 4
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire  [WIDTH-1:0] s_tdata,
    input  wire              s_tvalid,
    output logic             s_tready,

    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    input  wire              m_tready
);

    localparam int INDEX_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int COUNT_W = $clog2(DEPTH + 1);
    localparam logic [INDEX_W-1:0] LAST = INDEX_W'(DEPTH - 1);
    localparam logic [COUNT_W-1:0] FULL = COUNT_W'(DEPTH);

    if (WIDTH < 1 || DEPTH < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_fifo: WIDTH (%0d) and DEPTH (%0d) must be positive", WIDTH, DEPTH);
    end

    logic [WIDTH-1:0] mem [0:DEPTH-1];

    logic [INDEX_W-1:0] write_index_reg, read_index_reg;
    logic [COUNT_W-1:0] count_reg;  // beats in the memory
    logic valid_reg;

    wire write = s_tvalid && s_tready;
    wire read = (count_reg != '0) && (!valid_reg || m_tready);

    assign s_tready = (count_reg != FULL);
    assign m_tvalid = valid_reg;

    always_ff @(posedge clk_i) begin
        if (write) mem[write_index_reg] <= s_tdata;
        if (read) m_tdata <= mem[read_index_reg];
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            write_index_reg <= '0;
            read_index_reg <= '0;
            count_reg <= '0;
            valid_reg <= 1'b0;
        end else begin
            if (write) write_index_reg <= (write_index_reg == LAST) ? '0 : write_index_reg + 1'b1;
            if (read) read_index_reg <= (read_index_reg == LAST) ? '0 : read_index_reg + 1'b1;
            if (write && !read) count_reg <= count_reg + 1'b1;
            if (read && !write) count_reg <= count_reg - 1'b1;
            if (read) valid_reg <= 1'b1;
            else if (m_tready) valid_reg <= 1'b0;
        end
    end

endmodule

`default_nettype wire
