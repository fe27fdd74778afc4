// Stream FIFO: decouples two neighbours, and holds the short branch of a skip connection while the
// long one computes.
//
//   WIDTH  bits of a beat
//   DEPTH  beats in the memory, any number from 1
//
// Behind the memory there is an output register, of block RAM (see hwflow_ram) one more before it; each holds a
// beat more. s_tready and m_t* come from registers.
//
// Timing: 2 cycles from input to output, 3 of block RAM; one beat a cycle. DEPTH = 1 takes a beat every other cycle.

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

    localparam int BLOCK   = (DEPTH > 32 && WIDTH * DEPTH > 1024) ? 1 : 0;
    localparam int INDEX_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int COUNT_W = $clog2(DEPTH + 1);
    localparam logic [INDEX_W-1:0] LAST = INDEX_W'(DEPTH - 1);
    localparam logic [COUNT_W-1:0] ALL_BUT_ONE = COUNT_W'(DEPTH - 1);

    if (WIDTH < 1 || DEPTH < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_fifo: WIDTH (%0d) and DEPTH (%0d) must be positive", WIDTH, DEPTH);
    end

    logic [INDEX_W-1:0] write_index_reg, read_index_reg;
    logic [COUNT_W-1:0] count_reg;  // beats in the memory
    logic full_reg, empty_reg;      // of the memory
    logic read_valid_reg;           // of what was read last
    wire [WIDTH-1:0] read_data;
    wire read_ready;

    wire write = s_tvalid && !full_reg;
    wire read = !empty_reg && (!read_valid_reg || read_ready);

    assign s_tready = !full_reg;

    hwflow_ram #(
        .WIDTH (WIDTH),
        .DEPTH (DEPTH),
        .BLOCK (BLOCK)
    ) memory (
        .clk_i        (clk_i),
        .write_en_i   (write),
        .write_addr_i (write_index_reg),
        .write_data_i (s_tdata),
        .read_en_i    (read),
        .read_addr_i  (read_index_reg),
        .read_data_o  (read_data)
    );

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            write_index_reg <= '0;
            read_index_reg <= '0;
            count_reg <= '0;
            full_reg <= 1'b0;
            empty_reg <= 1'b1;
            read_valid_reg <= 1'b0;
        end else begin
            if (write) write_index_reg <= (write_index_reg == LAST) ? '0 : write_index_reg + 1'b1;
            if (read) read_index_reg <= (read_index_reg == LAST) ? '0 : read_index_reg + 1'b1;
            if (write && !read) begin
                count_reg <= count_reg + 1'b1;
                full_reg  <= count_reg == ALL_BUT_ONE;
                empty_reg <= 1'b0;
            end
            if (read && !write) begin
                count_reg <= count_reg - 1'b1;
                full_reg  <= 1'b0;
                empty_reg <= count_reg == COUNT_W'(1);
            end
            if (read) read_valid_reg <= 1'b1;
            else if (read_ready) read_valid_reg <= 1'b0;
        end
    end

    if (BLOCK != 0) begin : gen_output
        logic valid_reg;
        logic [WIDTH-1:0] data_reg;

        assign read_ready = !valid_reg || m_tready;
        assign m_tvalid   = valid_reg;
        assign m_tdata    = data_reg;

        always_ff @(posedge clk_i) begin
            if (read_ready) data_reg <= read_data;
            if (!rst_ni) valid_reg <= 1'b0;
            else if (read_ready) valid_reg <= read_valid_reg;
        end
    end else begin : gen_no_output
        assign read_ready = m_tready;
        assign m_tvalid   = read_valid_reg;
        assign m_tdata    = read_data;
    end

endmodule

`default_nettype wire
